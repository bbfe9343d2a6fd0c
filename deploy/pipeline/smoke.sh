#!/usr/bin/env bash
# Sends a caller's first requests to the candidate. Inputs: URL of the candidate; APP_TOKEN, a credential of the service,
# if there is one; INVOKER_TOKEN, where Cloud Run checks callers.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

expect() { # expect STATUS PATH [HEADER]
  http_get "$URL$2" "${3:-}"
  [[ $status == "$1" ]] || fail "GET $2 of the candidate returned $status instead of $1: $(head -c 300 <<<"$body" | tr '\n' ' ')"
  echo "GET $2: $status"
}

# A new tag takes some seconds to reach Google's front end.
deadline=$((SECONDS + ${TAG_TIMEOUT_SECONDS:-60}))
until http_get "$URL/health/startup" && [[ $status == 200 || $SECONDS -ge $deadline ]]; do sleep 1; done

expect 200 /health/startup
expect 200 /health/ready
expect 200 /
commit=$(jq --raw-output .commit <<<"$body") || commit=unknown
[[ $commit == "$GITHUB_SHA" ]] || fail "The candidate runs commit $commit instead of $GITHUB_SHA."
expect 401 /v1/me
[[ -z ${APP_TOKEN:-} ]] || expect 200 /v1/me "Authorization: Bearer $APP_TOKEN"
