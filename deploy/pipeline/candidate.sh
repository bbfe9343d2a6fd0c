#!/usr/bin/env bash
# Creates a revision of the new image without traffic, reachable under the tag `candidate`. With --dry-run, Cloud Run only
# validates it; the rehearsal of deploy/bootstrap.sh passes `--dry-run IMAGE`, because no image exists yet. Input: DIGEST.
# Outputs: revision; previous-revision, which has the traffic; private, true when Cloud Run checks callers; url, of the
# service; candidate-url.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

IMAGE=${2:-}
if [[ -z $IMAGE ]]; then
  validate_digest "$DIGEST"
  IMAGE=$IMAGE_NAME@$DIGEST
fi
read_settings
COMMIT_SHA=$GITHUB_SHA
NEWEST_MIGRATION=$(newest_migration)
# Unique for each attempt: Cloud Run never frees the name of a revision.
REVISION=$GCP_SERVICE-${GITHUB_SHA:0:7}-$GITHUB_RUN_NUMBER-$GITHUB_RUN_ATTEMPT

# Read last: a change of the service between this read and the replace would be lost.
describe_service

# After an interruption, only a person can decide between two revisions.
split=$(traffic_split status)
[[ $split == *' 100' ]] || fail "The traffic is split ($(tr '\n' ';' <<<"$split")). Run the Rollback workflow with the revision to keep, then deploy."
PREVIOUS_REVISION=${split% *}
SERVICE_LABELS=$(kept labels)
SERVICE_ANNOTATIONS=$(kept annotations)

export PREVIOUS_REVISION SERVICE_LABELS SERVICE_ANNOTATIONS REVISION COMMIT_SHA NEWEST_MIGRATION IMAGE
render deploy/service.yaml >"$RUNNER_TEMP/service.yaml"
replace=(gcloud run services replace "$RUNNER_TEMP/service.yaml" --region="$GCP_REGION" --project="$GCP_PROJECT_ID")

if [[ ${1:-} == --dry-run ]]; then
  "${replace[@]}" --dry-run || fail 'Cloud Run rejects the service. The output above has the reason. Nothing was migrated or deployed.'
  exit
fi

# Set before the revision exists, so that restore-traffic.sh can undo a failure.
set_output revision "$REVISION"
set_output previous-revision "$PREVIOUS_REVISION"

if ! "${replace[@]}"; then
  exists gcloud run revisions describe "$REVISION" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" ||
    fail "Cloud Run did not create $REVISION. The output above has the reason. The traffic stays at $PREVIOUS_REVISION."
  print_log "resource.type=\"cloud_run_revision\" AND resource.labels.revision_name=\"$REVISION\""
  fail "$REVISION did not start. The traffic stays at $PREVIOUS_REVISION."
fi

describe_service
set_output url "$(jq --raw-output .status.url <<<"$output")"
set_output candidate-url "$(tag_url candidate "$REVISION")"
set_output private "$(is_private)"
