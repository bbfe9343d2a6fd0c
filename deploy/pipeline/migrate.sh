#!/usr/bin/env bash
# Runs the migrations of the new image, before any of it gets traffic. From: DIGEST.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

job=$GCP_SERVICE-migrate

check_digest "$DIGEST"
newest_version "$GCP_SERVICE-migrator-database-url"
export IMAGE=$IMAGE_NAME@$DIGEST MIGRATOR_DATABASE_URL_VERSION=$version

fill deploy/migrate-job.yaml GCP_SERVICE GCP_MIGRATOR_ACCOUNT GCP_CLOUD_SQL_INSTANCE IMAGE MIGRATOR_DATABASE_URL_VERSION >"$RUNNER_TEMP/migrate-job.yaml"
gcloud run jobs replace "$RUNNER_TEMP/migrate-job.yaml" --region="$GCP_REGION" --project="$GCP_PROJECT_ID"

started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
if ! gcloud run jobs execute "$job" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --wait; then
  show_log "resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"$job\" AND timestamp>=\"$started\""
  fail 'The migration failed, so nothing was deployed. Each migration that had succeeded stays; the next run goes on after it.'
fi
