#!/usr/bin/env bash
# Waits until the service's own address is answered by the commit that has been given the traffic. From: URL; COMMIT, or
# nothing if it is not known; INVOKER_TOKEN, where Cloud Run checks callers.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

if [[ -z $COMMIT ]]; then
  echo 'The revision does not tell its commit, so there is nothing to compare.'
  exit
fi
# Several in a row: front ends learn of it one after the other.
deadline=$((SECONDS + ${LIVE_SECONDS:-120})) in_a_row=0
while [[ $in_a_row -lt 5 ]]; do
  ask "$URL/"
  live=$(jq --raw-output '.commit // empty' <<<"$body" 2>/dev/null) || live=''
  if [[ $live == "$COMMIT" ]]; then
    in_a_row=$((in_a_row + 1))
  else
    in_a_row=0
    [[ $SECONDS -lt $deadline ]] || fail "$URL answers $status with commit '$live' and not $COMMIT."
    sleep 1
  fi
done
echo "$URL runs $COMMIT"
