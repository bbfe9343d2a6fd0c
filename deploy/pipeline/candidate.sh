#!/usr/bin/env bash
# Creates a revision of the new image without traffic, reachable under the tag `candidate`. Input: DIGEST.
# Outputs: revision; previous-revision, which has the traffic; private, true when Cloud Run checks callers; url, of the
# service; candidate-url.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

validate_digest "$DIGEST"
newest_version "$GCP_SERVICE-database-url"
DATABASE_URL_VERSION=$version
IMAGE=$IMAGE_NAME@$DIGEST
COMMIT_SHA=$GITHUB_SHA
# Unique for each attempt: Cloud Run never frees the name of a revision.
REVISION=$GCP_SERVICE-${GITHUB_SHA:0:7}-$GITHUB_RUN_NUMBER-$GITHUB_RUN_ATTEMPT

# Read last, to shorten the time in which another command could move the traffic before this script writes it.
describe_service

# After an interruption, only a person can decide between two revisions.
split=$(traffic_split status)
[[ $split == *' 100' ]] || fail "The traffic is split ($(tr '\n' ';' <<<"$split")). Run the Rollback workflow with the revision to keep, then deploy."
PREVIOUS_REVISION=${split% *}

# Bootstrap or a person decides who may call. A replace without these two would open the service.
INVOKER_IAM_DISABLED=$(jq --raw-output "$INVOKER_IAM_DISABLED_FILTER" <<<"$output")
INGRESS=$(jq --raw-output '.metadata.annotations["run.googleapis.com/ingress"] // "all"' <<<"$output")

# Set before the revision exists, so that restore-traffic.sh can undo a failure.
set_output revision "$REVISION"
set_output previous-revision "$PREVIOUS_REVISION"

export PREVIOUS_REVISION INVOKER_IAM_DISABLED INGRESS REVISION COMMIT_SHA IMAGE DATABASE_URL_VERSION
render deploy/service.yaml >"$RUNNER_TEMP/service.yaml"
if ! gcloud run services replace "$RUNNER_TEMP/service.yaml" --region="$GCP_REGION" --project="$GCP_PROJECT_ID"; then
  exists gcloud run revisions describe "$REVISION" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" ||
    fail "Cloud Run did not create $REVISION. The output above has the reason. The traffic stays at $PREVIOUS_REVISION."
  print_log "resource.type=\"cloud_run_revision\" AND resource.labels.revision_name=\"$REVISION\""
  fail "$REVISION did not start. The traffic stays at $PREVIOUS_REVISION."
fi

describe_service
set_output url "$(jq --raw-output .status.url <<<"$output")"
set_output candidate-url "$(jq --raw-output '.status.traffic[] | select(.tag == "candidate").url' <<<"$output")"
set_output private "$([[ $INVOKER_IAM_DISABLED == true ]] && echo false || echo true)"
