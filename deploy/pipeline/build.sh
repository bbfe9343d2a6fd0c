#!/usr/bin/env bash
# Builds the image of the commit, unless the registry has one with this workflow's attestation.
# Inputs: BUILDER (runner or cloud-build); ATTESTATIONS, true where GitHub stores them; GH_TOKEN to read them.
# Outputs: digest; built, true if this runner built the image.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

image=$IMAGE_NAME:$GITHUB_SHA

# `gcloud artifacts docker images describe` needs Container Analysis, and a role there.
find_image() {
  local tag="projects/$GCP_PROJECT_ID/locations/$GCP_REGION/repositories/$GCP_ARTIFACT_REPOSITORY/packages/$GCP_SERVICE/tags/$GITHUB_SHA"
  digest=''
  # The package does not exist before its first image.
  if exists gcloud artifacts tags list --package="$GCP_SERVICE" --repository="$GCP_ARTIFACT_REPOSITORY" --location="$GCP_REGION" \
    --project="$GCP_PROJECT_ID" --filter="name=\"$tag\"" --format='value(version.basename())'; then
    digest=$output
  fi
}

# Every writer of the registry can move a tag. The attestation proves that Deploy built the image from this commit.
is_attested() {
  [[ $ATTESTATIONS == true ]] || return 1
  attempt gh attestation verify "oci://$IMAGE_NAME@$digest" --repo="$GITHUB_REPOSITORY" --source-digest="$GITHUB_SHA" \
    --signer-workflow="$GITHUB_REPOSITORY/.github/workflows/deploy.yml" --deny-self-hosted-runners && return
  error_message
  return 1
}

# BuildKit's default attestations would turn the image into an index, whose parts the registry cleans up separately.
build_on_runner() {
  BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --file docker/Dockerfile --build-arg COMMIT_SHA="$GITHUB_SHA" --tag "$image" .
  docker push "$image" | tee "$RUNNER_TEMP/push"
  # The registry's tag could already point to another image.
  digest=$(sed -n 's/.* digest: \(sha256:[0-9a-f]*\) .*/\1/p' "$RUNNER_TEMP/push")
  built=true
}

# The deployer cannot read Google's default log bucket: a failed build would only show "Forbidden".
build_on_cloud_build() {
  [[ -n $GCP_BUILD_ACCOUNT && -n $GCP_BUILD_BUCKET && -n $GCP_BUILD_LOG_BUCKET ]] ||
    fail 'The builder cloud-build needs GCP_BUILD_ACCOUNT, GCP_BUILD_BUCKET and GCP_BUILD_LOG_BUCKET. Rerun deploy/bootstrap.sh with --with-cloud-build.'
  gcloud builds submit . --config=deploy/cloudbuild.yaml --substitutions=_IMAGE="$image",_COMMIT_SHA="$GITHUB_SHA" \
    --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --service-account="projects/$GCP_PROJECT_ID/serviceAccounts/$GCP_BUILD_ACCOUNT" \
    --gcs-source-staging-dir="gs://$GCP_BUILD_BUCKET/source" --gcs-log-dir="gs://$GCP_BUILD_LOG_BUCKET"
  find_image
}

# gh and Syft read the image from the registry.
gcloud auth configure-docker "$GCP_REGION-docker.pkg.dev" --quiet

built=false
find_image
if [[ -n $digest ]] && is_attested; then
  echo 'The registry has the attested image of this commit.'
else
  # shellcheck disable=SC2153 # from the environment
  case $BUILDER in
    runner) build_on_runner ;;
    cloud-build) build_on_cloud_build ;;
    *) fail "Unknown builder '$BUILDER'." ;;
  esac
fi
validate_digest "$digest"
set_output digest "$digest"
set_output built "$built"
echo "$image is $digest"
