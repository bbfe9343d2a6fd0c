#!/usr/bin/env bash
# Tags the images of the deployed revision and the previous one, so that the registry's cleanup keeps them.
# Inputs: ENVIRONMENT, REVISION and PREVIOUS_REVISION.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

package=(--package="$GCP_SERVICE" --repository="$GCP_ARTIFACT_REPOSITORY" --location="$GCP_REGION" --project="$GCP_PROJECT_ID")

# `gcloud artifacts docker tags add` moves a tag by deleting it, which the deployer is not allowed to do.
tag_image() { # tag_image TAG REVISION
  local tag="projects/$GCP_PROJECT_ID/locations/$GCP_REGION/repositories/$GCP_ARTIFACT_REPOSITORY/packages/$GCP_SERVICE/tags/$1" verb=create digest
  attempt gcloud run revisions describe "$2" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format='value(spec.containers[0].image)' ||
    fail "Cannot read the revision $2. $(error_message)"
  if [[ $output != "$IMAGE_NAME@"* ]]; then
    echo "$2 runs $output, which is in another registry."
    return
  fi
  digest=${output#*@}
  attempt gcloud artifacts tags list "${package[@]}" --filter="name=\"$tag\"" --format='value(version.basename())' || fail "$(error_message)"
  [[ -z $output ]] || verb=update
  gcloud artifacts tags "$verb" "$1" --version="$digest" "${package[@]}"
}

# shellcheck disable=SC2153 # from the environment
tag_image "serving-$ENVIRONMENT" "$REVISION"
tag_image "previous-$ENVIRONMENT" "$PREVIOUS_REVISION"
