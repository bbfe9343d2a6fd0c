#!/usr/bin/env bash
# Writes the result of the job to deployment.json, for `npm run deploy -- --watch --json`. Inputs: STATUS of the job. If known: DIGEST,
# REVISION, PREVIOUS_REVISION, URL, and COMMIT, which is the commit of the run by default.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

traffic=''
if attempt gcloud run services describe "$GCP_SERVICE" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json; then
  traffic=$(traffic_split status)
fi
: >>"$RUNNER_TEMP/verdicts"
# shellcheck disable=SC2153 # STATUS comes from the workflow
jq --null-input --arg commit "${COMMIT-$GITHUB_SHA}" --arg digest "${DIGEST:-}" --arg url "${URL:-}" --arg verdict "$STATUS" \
  --arg revision "${REVISION:-}" --arg previousRevision "${PREVIOUS_REVISION:-}" \
  --arg traffic "$traffic" --rawfile canary "$RUNNER_TEMP/verdicts" '
  def lines: split("\n") | map(select(. != ""));
  { $commit, $digest, $revision, $previousRevision, $url, $verdict }
  | map_values(if . == "" then null else . end)
  | .traffic = ($traffic | lines | map(split(" ") | { revision: .[0], percent: (.[1] | tonumber) }))
  | .canary = ($canary | lines)' >"$RUNNER_TEMP/deployment.json"
