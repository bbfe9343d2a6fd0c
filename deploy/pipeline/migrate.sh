#!/usr/bin/env bash
# Runs the migrations of the new image, before it gets traffic. Input: DIGEST.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

job=$GCP_SERVICE-migrate

validate_digest "$DIGEST"
newest_version "$GCP_SERVICE-migrator-database-url"
export IMAGE=$IMAGE_NAME@$DIGEST MIGRATOR_DATABASE_URL_VERSION=$version

render deploy/migrate-job.yaml >"$RUNNER_TEMP/migrate-job.yaml"
gcloud run jobs replace "$RUNNER_TEMP/migrate-job.yaml" --region="$GCP_REGION" --project="$GCP_PROJECT_ID"

started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
if ! gcloud run jobs execute "$job" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --wait; then
  print_log "resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"$job\" AND timestamp>=\"$started\""
  fail 'The migration failed, so nothing was deployed. Completed migrations stay applied; the next run continues after them.'
fi
