#!/usr/bin/env bash
# Writes the job's summary: a table and, after a failure, the causes and fixes of known messages.
# Inputs: STATUS of the job; SETUP, the outcome of the step that signs in. If known: DIGEST, REVISION, PREVIOUS_REVISION, URL
# and COMMIT, which is the commit of the run by default.
set -euo pipefail

log=$RUNNER_TEMP/pipeline.log
commit=${COMMIT-$GITHUB_SHA}
console=https://console.cloud.google.com

row() { # row NAME TEXT: prints nothing for an empty text
  [[ -z $2 ]] || echo "| $1 | $2 |"
}
revision_link() { # revision_link NAME
  [[ -z $1 ]] || echo "[$1]($console/run/detail/${GCP_REGION:-}/${GCP_SERVICE:-}/revisions?project=${GCP_PROJECT_ID:-}&revision=$1)"
}

{
  echo "### $GITHUB_JOB: $STATUS"
  echo
  echo '| | |'
  echo '|---|---|'
  row Commit "${commit:+[\`${commit:0:7}\`]($GITHUB_SERVER_URL/$GITHUB_REPOSITORY/commit/$commit)}"
  row Image "${DIGEST:+\`${IMAGE_NAME:-}@$DIGEST\`}"
  row Revision "$(revision_link "${REVISION:-}")"
  row 'Previous revision' "$(revision_link "${PREVIOUS_REVISION:-}")"
  [[ ! -f $RUNNER_TEMP/verdicts ]] || while read -r verdict; do row Canary "$verdict"; done <"$RUNNER_TEMP/verdicts"
  [[ ! -f $RUNNER_TEMP/notes ]] || while read -r note; do row Note "$note"; done <"$RUNNER_TEMP/notes"
  [[ ! -f $RUNNER_TEMP/timings ]] || while read -r seconds step; do row "$step" "$seconds s"; done <"$RUNNER_TEMP/timings"
  row URL "${URL:-}"
  row Logs "${GCP_PROJECT_ID:+[Cloud Logging]($console/logs/query?project=$GCP_PROJECT_ID)}"
  echo
  if [[ $STATUS != success ]]; then
    [[ $SETUP != failure ]] || echo 'The sign-in to Google Cloud failed. Pass the log of that step to: npm run doctor -- --explain'
    [[ ! -f $log ]] || node "$(dirname "$0")/../../tools/doctor/doctor.mjs" --explain --markdown <"$log" || true
  fi
} >>"$GITHUB_STEP_SUMMARY"
