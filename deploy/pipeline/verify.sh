#!/usr/bin/env bash
# Waits until the service's own address returns the commit that was given the traffic. Inputs: URL; COMMIT, or nothing if
# it is unknown; INVOKER_TOKEN, where Cloud Run checks callers.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

if [[ -z $COMMIT ]]; then
  echo 'The revision has no label commit-sha, so there is nothing to compare.'
  exit
fi
# Several in a row: the change reaches Google's front ends one after the other.
deadline=$((SECONDS + ${VERIFY_TIMEOUT_SECONDS:-120})) in_a_row=0
while [[ $in_a_row -lt 5 ]]; do
  http_get "$URL/"
  commit=$(jq --raw-output '.commit // empty' <<<"$body" 2>/dev/null) || commit=''
  if [[ $commit == "$COMMIT" ]]; then
    in_a_row=$((in_a_row + 1))
  else
    in_a_row=0
    [[ $SECONDS -lt $deadline ]] || fail "$URL returned $status with commit '$commit' instead of $COMMIT."
    sleep 1
  fi
done
echo "$URL runs $COMMIT"
