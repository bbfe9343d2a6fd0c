#!/usr/bin/env bash
# Asks the candidate what a caller would. From: URL, the candidate's; APP_TOKEN, a credential that the service takes, if
# there is one; INVOKER_TOKEN, where Cloud Run checks callers.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

expect() { # expect STATUS PATH [HEADER]
  ask "$URL$2" "${3:-}"
  [[ $status == "$1" ]] || fail "GET $2 of the candidate answered $status and not $1: $(head -c 300 <<<"$body" | tr '\n' ' ')"
  echo "GET $2: $status"
}

# It takes some seconds until Google's front end knows a new tag.
deadline=$((SECONDS + ${TAG_SECONDS:-60}))
until ask "$URL/health/startup" && [[ $status == 200 || $SECONDS -ge $deadline ]]; do sleep 1; done

expect 200 /health/startup
expect 200 /health/ready
expect 200 /
commit=$(jq --raw-output .commit <<<"$body") || commit='of another program'
[[ $commit == "$GITHUB_SHA" ]] || fail "The candidate runs commit $commit and not $GITHUB_SHA."
expect 401 /v1/me
[[ -z ${APP_TOKEN:-} ]] || expect 200 /v1/me "Authorization: Bearer $APP_TOKEN"
