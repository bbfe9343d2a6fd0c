#!/usr/bin/env bash
# Makes a revision of the new image that gets no traffic, and can be asked under a tag. From: DIGEST.
# Outputs: revision; serving, the revision that has the traffic; private, true when Cloud Run checks callers; url, the
# service's; candidate-url.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

check_digest "$DIGEST"
newest_version "$GCP_SERVICE-database-url"
DATABASE_URL_VERSION=$version
IMAGE=$IMAGE_NAME@$DIGEST
COMMIT_SHA=$GITHUB_SHA
# Unique for each attempt, since a revision's name is never free again.
REVISION=$GCP_SERVICE-${GITHUB_SHA:0:7}-$GITHUB_RUN_NUMBER-$GITHUB_RUN_ATTEMPT

# Last, so that little time is left for somebody to move the traffic before it is written again.
describe_service

# After an interruption nobody but a person knows which of two is good.
divided=$(shares status)
[[ $divided == *' 100' ]] || fail "The traffic is divided ($(tr '\n' ';' <<<"$divided")). Run the Rollback workflow with the revision that is to have it, then deploy."
SERVING_REVISION=${divided% *}

# Whoever may call was decided at bootstrap, or since then in the console; a replace without these would open the service.
INVOKER_IAM_DISABLED=$(jq --raw-output "$INVOKER_IAM_DISABLED_OF" <<<"$output")
INGRESS=$(jq --raw-output '.metadata.annotations["run.googleapis.com/ingress"] // "all"' <<<"$output")

# Before anything is made, so that a failure can be undone.
output revision "$REVISION"
output serving "$SERVING_REVISION"

export SERVING_REVISION INVOKER_IAM_DISABLED INGRESS REVISION COMMIT_SHA IMAGE DATABASE_URL_VERSION
fill deploy/service.yaml GCP_PROJECT_ID GCP_SERVICE GCP_RUNTIME_ACCOUNT GCP_CLOUD_SQL_INSTANCE APP_OIDC_ISSUERS APP_OIDC_AUDIENCE \
  APP_OIDC_SCOPE_GRANTS APP_CORS_ORIGINS SERVING_REVISION INVOKER_IAM_DISABLED INGRESS REVISION COMMIT_SHA IMAGE DATABASE_URL_VERSION \
  >"$RUNNER_TEMP/service.yaml"
if ! gcloud run services replace "$RUNNER_TEMP/service.yaml" --region="$GCP_REGION" --project="$GCP_PROJECT_ID"; then
  exists gcloud run revisions describe "$REVISION" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" ||
    fail "$REVISION could not be made; the reason stands above. The traffic stays at $SERVING_REVISION."
  show_log "resource.type=\"cloud_run_revision\" AND resource.labels.revision_name=\"$REVISION\""
  fail "$REVISION did not start. The traffic stays at $SERVING_REVISION."
fi

describe_service
output url "$(jq --raw-output .status.url <<<"$output")"
output candidate-url "$(jq --raw-output '.status.traffic[] | select(.tag == "candidate").url' <<<"$output")"
output private "$([[ $INVOKER_IAM_DISABLED == true ]] && echo false || echo true)"
