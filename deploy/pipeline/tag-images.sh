#!/usr/bin/env bash
# Marks the images that serve now and that served before, so that the registry's clean-up keeps them.
# From: ENVIRONMENT, REVISION and PREVIOUS.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

in_registry=(--package="$GCP_SERVICE" --repository="$GCP_ARTIFACT_REPOSITORY" --location="$GCP_REGION" --project="$GCP_PROJECT_ID")

# `gcloud artifacts docker tags add` moves a tag by deleting it, which the deployer may not.
mark() { # mark TAG REVISION
  local tag="projects/$GCP_PROJECT_ID/locations/$GCP_REGION/repositories/$GCP_ARTIFACT_REPOSITORY/packages/$GCP_SERVICE/tags/$1" verb=create digest
  attempt gcloud run revisions describe "$2" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format='value(spec.containers[0].image)' ||
    fail "The revision $2 cannot be read. $(reason)"
  if [[ $output != "$IMAGE_NAME@"* ]]; then
    echo "$2 runs $output, which is not of this registry."
    return
  fi
  digest=${output#*@}
  attempt gcloud artifacts tags list "${in_registry[@]}" --filter="name=\"$tag\"" --format='value(version.basename())' || fail "$(reason)"
  [[ -z $output ]] || verb=update
  gcloud artifacts tags "$verb" "$1" --version="$digest" "${in_registry[@]}"
}

# shellcheck disable=SC2153 # of the environment, and no misspelling
mark "serving-$ENVIRONMENT" "$REVISION"
mark "previous-$ENVIRONMENT" "$PREVIOUS"
