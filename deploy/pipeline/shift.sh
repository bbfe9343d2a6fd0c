#!/usr/bin/env bash
# Moves the traffic to the candidate: at once, or step by step, as long as nothing speaks against it.
# From: STRATEGY, all-at-once or canary; REVISION and SERVING, the new and the old revision; CANDIDATE_URL; APP_TOKEN and
# INVOKER_TOKEN as in smoke.sh; CANARY_PERCENTAGES, the steps on the way to 100; CANARY_WINDOW_SECONDS, after each of them.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

# Fewer requests are too few to call it good. One that failed may be anybody's; more of them, and above this share, are not.
readonly MIN_REQUESTS=20 MIN_FAILED=2 MAX_FAILED_PERCENT=1
# Own requests in each window, beside what users send.
readonly PROBES=10

divide() { # divide PERCENT: who gets what when the candidate gets that share, a line "REVISION PERCENT" for each
  [[ $1 == 0 ]] || echo "$REVISION $1"
  [[ $1 == 100 ]] || echo "$SERVING $((100 - $1))"
}

move() { # move FROM TO: the candidate's share, in percent. What somebody else has moved meanwhile is left alone.
  local tagged
  describe_service
  # A rollback takes the tag, too, and nothing brings it back.
  tagged=$(jq --raw-output '.spec.traffic[] | select(.tag == "candidate").revisionName' <<<"$output")
  [[ $tagged == "$REVISION" && $(shares spec | sort) == "$(divide "$1" | sort)" ]] ||
    fail "Somebody has moved the traffic meanwhile: $(shares spec | tr '\n' ';') This deployment goes no further."
  send_traffic "$(divide "$2")"
}

probe() { # one own request for what needs the database, and one for what needs a credential
  ask "$CANDIDATE_URL/health/ready"
  [[ $status == 200 ]] || fail "GET /health/ready of the candidate answered $status during the canary."
  if [[ -n ${APP_TOKEN:-} ]]; then
    ask "$CANDIDATE_URL/v1/me" "Authorization: Bearer $APP_TOKEN"
    [[ $status == 200 ]] || fail "GET /v1/me of the candidate answered $status during the canary."
  else
    ask "$CANDIDATE_URL/v1/me"
    [[ $status == 401 ]] || fail "GET /v1/me of the candidate answered $status during the canary, without a credential."
  fi
}

# The newest thousand requests of users since the canary began: a line that comes late counts in the next window.
judge() { # judge PERCENT
  local requests failed
  sleep "$LOG_DELAY_SECONDS"
  attempt gcloud logging read "resource.type=\"cloud_run_revision\" AND resource.labels.revision_name=\"$REVISION\" AND log_id(\"run.googleapis.com/requests\") AND timestamp>=\"$began\" AND NOT httpRequest.userAgent=\"$USER_AGENT\"" \
    --project="$GCP_PROJECT_ID" --limit=1000 --format='value(httpRequest.status)' || fail "The canary's log cannot be read. $(reason)"
  requests=$(grep -c '^[0-9]' <<<"$output") || true
  failed=$(grep -c '^5' <<<"$output") || true
  if [[ $failed -ge $MIN_FAILED && $((failed * 100)) -gt $((requests * MAX_FAILED_PERCENT)) ]]; then
    fail "At $1 %, $failed of $requests requests failed (5xx), more than $MAX_FAILED_PERCENT %: bad."
  elif [[ $requests -lt $MIN_REQUESTS ]]; then
    verdict "$1 %: $failed of $requests requests failed (5xx): too little traffic to tell; our own $((2 * PROBES)) were answered"
  else
    verdict "$1 %: $failed of $requests requests failed (5xx): good"
  fi
}

verdict() { # verdict TEXT: said here and in the summary
  echo "$1"
  echo "$1" >>"$RUNNER_TEMP/verdicts"
}

canary() {
  local share=0 next probes
  began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  for next in $CANARY_PERCENTAGES; do
    move "$share" "$next"
    share=$next
    probes=$PROBES
    while [[ $probes -gt 0 ]]; do
      probe
      sleep $((CANARY_WINDOW_SECONDS / PROBES))
      probes=$((probes - 1))
    done
    judge "$share"
  done
  move "$share" 100
}

case $STRATEGY in
  all-at-once) move 0 100 ;;
  canary)
    [[ $CANARY_PERCENTAGES =~ ^[1-9][0-9]?(\ [1-9][0-9]?)*$ && $CANARY_WINDOW_SECONDS =~ ^[0-9]+$ ]] ||
      fail 'CANARY_PERCENTAGES must be numbers from 1 to 99 with a space between them, CANARY_WINDOW_SECONDS a number.'
    # The tokens of this run are good for an hour.
    [[ $(wc -w <<<"$CANARY_PERCENTAGES") -le $((2700 / (CANARY_WINDOW_SECONDS + 1))) ]] || fail 'All windows together must not take more than 45 minutes.'
    canary
    ;;
  *) fail "There is no strategy '$STRATEGY'." ;;
esac
