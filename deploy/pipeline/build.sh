#!/usr/bin/env bash
# The image of this commit. It is made only if the registry has none under the commit's name, so that a run that is
# repeated deploys what was built and tested before. From: BUILDER, runner or cloud-build. Output: digest.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

image=$IMAGE_NAME:$GITHUB_SHA

# `gcloud artifacts docker images describe` would want Container Analysis, and a role there.
find_image() {
  local tag="projects/$GCP_PROJECT_ID/locations/$GCP_REGION/repositories/$GCP_ARTIFACT_REPOSITORY/packages/$GCP_SERVICE/tags/$GITHUB_SHA"
  digest=''
  # Before its first image, the registry does not know the name of it either.
  if exists gcloud artifacts tags list --package="$GCP_SERVICE" --repository="$GCP_ARTIFACT_REPOSITORY" --location="$GCP_REGION" \
    --project="$GCP_PROJECT_ID" --filter="name=\"$tag\"" --format='value(version.basename())'; then
    digest=$output
  fi
}

# A plain image: what BuildKit would add about itself makes it an index of several, which the registry cleans up apart.
build_on_runner() {
  BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --file docker/Dockerfile --build-arg COMMIT_SHA="$GITHUB_SHA" --tag "$image" .
  docker push "$image"
}

# Google's default bucket for logs belongs to Google, and "Forbidden" is all that would be seen of a build that fails.
build_on_cloud_build() {
  [[ -n $GCP_BUILD_ACCOUNT && -n $GCP_BUILD_BUCKET && -n $GCP_BUILD_LOG_BUCKET ]] ||
    fail 'The builder cloud-build needs GCP_BUILD_ACCOUNT, GCP_BUILD_BUCKET and GCP_BUILD_LOG_BUCKET. Run deploy/bootstrap.sh again, with --with-cloud-build.'
  gcloud builds submit . --config=deploy/cloudbuild.yaml --substitutions=_IMAGE="$image",_COMMIT_SHA="$GITHUB_SHA" \
    --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --service-account="projects/$GCP_PROJECT_ID/serviceAccounts/$GCP_BUILD_ACCOUNT" \
    --gcs-source-staging-dir="gs://$GCP_BUILD_BUCKET/source" --gcs-log-dir="gs://$GCP_BUILD_LOG_BUCKET"
}

# The step that lists what is in the image reads it from the registry, too.
gcloud auth configure-docker "$GCP_REGION-docker.pkg.dev" --quiet

find_image
if [[ -n $digest ]]; then
  echo "The registry has this commit's image."
else
  # shellcheck disable=SC2153 # of the environment, and no misspelling
  case $BUILDER in
    runner) build_on_runner ;;
    cloud-build) build_on_cloud_build ;;
    *) fail "There is no builder '$BUILDER'." ;;
  esac
  find_image
fi
check_digest "$digest"
output digest "$digest"
echo "$image is $digest"
