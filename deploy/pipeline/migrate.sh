#!/usr/bin/env bash
# Runs the migrations of the new image, before it gets traffic. Input: DIGEST.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

job=$GCP_SERVICE-migrate

validate_digest "$DIGEST"
read_settings
newest_version "$GCP_SERVICE-migrator-database-url"
JOB_ENV=$(jq --compact-output --arg secret "$GCP_SERVICE-migrator-database-url" --arg version "$version" '
  map(if .name == "DATABASE_URL" then .valueFrom.secretKeyRef = { name: $secret, key: $version } else . end
    | select(.name == "DATABASE_URL" or (.value and (.name | test("^(NODE_OPTIONS$|DATABASE_|LOG_)")))))' <<<"$SERVICE_ENV")

attempt gcloud run jobs describe "$job" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
  fail "Cannot read the job $job. $(error_message)"
JOB_LABELS=$(kept labels)
JOB_ANNOTATIONS=$(kept annotations)
# The label never goes back: an older commit does not undo migrations.
NEWEST_MIGRATION=$({ newest_migration && label newest-migration; } | sort -n | tail -n 1)
export IMAGE=$IMAGE_NAME@$DIGEST JOB_ENV JOB_LABELS JOB_ANNOTATIONS NEWEST_MIGRATION

render deploy/migrate-job.yaml >"$RUNNER_TEMP/migrate-job.yaml"
# Cloud Run validates the job here, before anything runs: this command has no dry run.
gcloud run jobs replace "$RUNNER_TEMP/migrate-job.yaml" --region="$GCP_REGION" --project="$GCP_PROJECT_ID"

started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
if ! gcloud run jobs execute "$job" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --wait; then
  print_log "resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"$job\" AND timestamp>=\"$started\""
  fail 'The migration failed, so nothing was deployed. Completed migrations stay applied; the next run continues after them.'
fi
