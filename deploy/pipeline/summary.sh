#!/usr/bin/env bash
# What the page of the run says of this job: a table and, after a failure, what is known of its messages.
# From: STATUS of the job, SIGN_IN, the outcome of that step; and, as far as the job knows them, DIGEST, REVISION, PREVIOUS, URL
# and COMMIT, if it is not the one of the run.
set -euo pipefail

log=$RUNNER_TEMP/pipeline.log
commit=${COMMIT-$GITHUB_SHA}
console=https://console.cloud.google.com

row() { # row NAME TEXT: nothing without a text
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
  row 'Before it' "$(revision_link "${PREVIOUS:-}")"
  [[ ! -f $RUNNER_TEMP/verdicts ]] || while read -r verdict; do row Canary "$verdict"; done <"$RUNNER_TEMP/verdicts"
  [[ ! -f $RUNNER_TEMP/timings ]] || while read -r step seconds; do row "$step" "$seconds s"; done <"$RUNNER_TEMP/timings"
  row Address "${URL:-}"
  row Logs "${GCP_PROJECT_ID:+[Cloud Logging]($console/logs/query?project=$GCP_PROJECT_ID)}"
  echo
  if [[ $STATUS != success ]]; then
    [[ $SIGN_IN != failure ]] || echo 'The sign-in failed. Give the log of that step to: npm run doctor -- --explain'
    [[ ! -f $log ]] || node "$(dirname "$0")/../doctor/doctor.mjs" --explain --markdown <"$log"
  fi
} >>"$GITHUB_STEP_SUMMARY"
