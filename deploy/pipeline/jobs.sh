#!/usr/bin/env bash
# Deploys the new image to the jobs of deploy/jobs/, and runs none of them. With --dry-run, it only checks that they exist.
# Input: DIGEST.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

shopt -s nullglob
manifests=(deploy/jobs/*.yaml)
[[ ${#manifests[@]} -gt 0 ]] || exit 0
validate_digest "$DIGEST"
read_settings
export IMAGE=$IMAGE_NAME@$DIGEST JOB_LABELS JOB_ANNOTATIONS

for manifest in "${manifests[@]}"; do
  job=$GCP_SERVICE-$(basename "$manifest" .yaml)
  exists gcloud run jobs describe "$job" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    fail "The job $job does not exist. Run deploy/bootstrap.sh again, with the options of the first run: it creates the job."
  [[ ${1:-} != --dry-run ]] || continue
  JOB_LABELS=$(kept labels)
  JOB_ANNOTATIONS=$(kept annotations)
  render "$manifest" >"$RUNNER_TEMP/job.yaml"
  gcloud run jobs replace "$RUNNER_TEMP/job.yaml" --region="$GCP_REGION" --project="$GCP_PROJECT_ID"
done
