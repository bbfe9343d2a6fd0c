#!/usr/bin/env bash
# Moves the traffic to the candidate, in one step or several. Inputs: STRATEGY (all-at-once or canary); REVISION and
# PREVIOUS_REVISION; CANDIDATE_URL; APP_TOKEN and INVOKER_TOKEN as in smoke.sh; CANARY_PERCENTAGES, the steps before 100;
# CANARY_WINDOW_SECONDS, the observation after each step.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

# A canary fails when at least MIN_FAILED requests and more than MAX_FAILED_PERCENT failed. With fewer than MIN_REQUESTS
# its verdict is "inconclusive".
readonly MIN_REQUESTS=20 MIN_FAILED=2 MAX_FAILED_PERCENT=1
# The pipeline's own requests in each window.
readonly PROBES=10

split_for() { # split_for PERCENT: the traffic split that gives the candidate this share
  [[ $1 == 0 ]] || echo "$REVISION $1"
  [[ $1 == 100 ]] || echo "$PREVIOUS_REVISION $((100 - $1))"
}

shift_traffic() { # shift_traffic FROM TO: changes the candidate's share in percent. Fails if the traffic has changed.
  local tagged
  describe_service
  # A rollback removes the tag, and nothing sets it again.
  tagged=$(jq --raw-output '.spec.traffic[] | select(.tag == "candidate").revisionName' <<<"$output")
  [[ $tagged == "$REVISION" && $(traffic_split spec | sort) == "$(split_for "$1" | sort)" ]] ||
    fail "The traffic has changed in the meantime: $(traffic_split spec | tr '\n' ';') This deployment stops."
  set_traffic "$(split_for "$2")"
}

probe() { # one request that needs the database, one for the authentication
  http_get "$CANDIDATE_URL/health/ready"
  [[ $status == 200 ]] || fail "GET /health/ready of the candidate returned $status during the canary."
  if [[ -n ${APP_TOKEN:-} ]]; then
    http_get "$CANDIDATE_URL/v1/me" "Authorization: Bearer $APP_TOKEN"
    [[ $status == 200 ]] || fail "GET /v1/me of the candidate returned $status during the canary."
  else
    http_get "$CANDIDATE_URL/v1/me"
    [[ $status == 401 ]] || fail "GET /v1/me of the candidate returned $status during the canary, without a credential."
  fi
}

# Counts the newest thousand requests of users since the canary started. A late log entry counts in the next window.
check_error_rate() { # check_error_rate PERCENT
  local requests failed
  sleep "$LOG_DELAY_SECONDS"
  attempt gcloud logging read "resource.type=\"cloud_run_revision\" AND resource.labels.revision_name=\"$REVISION\" AND log_id(\"run.googleapis.com/requests\") AND timestamp>=\"$started\" AND NOT httpRequest.userAgent=\"$USER_AGENT\"" \
    --project="$GCP_PROJECT_ID" --limit=1000 --format='value(httpRequest.status)' || fail "Cannot read the canary's log. $(error_message)"
  requests=$(grep -c '^[0-9]' <<<"$output") || true
  failed=$(grep -c '^5' <<<"$output") || true
  if [[ $failed -ge $MIN_FAILED && $((failed * 100)) -gt $((requests * MAX_FAILED_PERCENT)) ]]; then
    fail "At $1 %, $failed of $requests requests failed (5xx), more than $MAX_FAILED_PERCENT %: bad."
  elif [[ $requests -lt $MIN_REQUESTS ]]; then
    report "$1 %: $failed of $requests requests failed (5xx): inconclusive, fewer than $MIN_REQUESTS requests; the pipeline's own $((2 * PROBES)) succeeded"
  else
    report "$1 %: $failed of $requests requests failed (5xx): good"
  fi
}

report() { # report VERDICT: prints it here and in the summary
  echo "$1"
  echo "$1" >>"$RUNNER_TEMP/verdicts"
}

canary() {
  local share=0 next probes
  started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  for next in $CANARY_PERCENTAGES; do
    shift_traffic "$share" "$next"
    share=$next
    probes=$PROBES
    while [[ $probes -gt 0 ]]; do
      probe
      sleep $((CANARY_WINDOW_SECONDS / PROBES))
      probes=$((probes - 1))
    done
    check_error_rate "$share"
  done
  shift_traffic "$share" 100
}

case $STRATEGY in
  all-at-once) shift_traffic 0 100 ;;
  canary)
    [[ $CANARY_PERCENTAGES =~ ^[1-9][0-9]?(\ [1-9][0-9]?)*$ && $CANARY_WINDOW_SECONDS =~ ^[0-9]+$ ]] ||
      fail 'CANARY_PERCENTAGES must be numbers from 1 to 99, separated by spaces, and CANARY_WINDOW_SECONDS a number.'
    # The tokens of a run are valid for an hour.
    [[ $(wc -w <<<"$CANARY_PERCENTAGES") -le $((2700 / (CANARY_WINDOW_SECONDS + 1))) ]] || fail 'All windows together must take at most 45 minutes.'
    canary
    ;;
  *) fail "Unknown strategy '$STRATEGY'." ;;
esac
