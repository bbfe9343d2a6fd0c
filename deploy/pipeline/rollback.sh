#!/usr/bin/env bash
# Checks that the revision starts, then moves all traffic to it. The database schema stays as it is. Inputs: REVISION;
# REVISION_URL, under its tag, or nothing to skip the check; INVOKER_TOKEN, where Cloud Run checks callers.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

# Longer than the startup window of deploy/service.yaml: the first request starts an instance.
readonly START_TIMEOUT_SECONDS=${START_TIMEOUT_SECONDS:-120}

if [[ -n $REVISION_URL ]]; then
  deadline=$((SECONDS + START_TIMEOUT_SECONDS))
  until http_get "$REVISION_URL/health/startup" && [[ $status == 200 || $SECONDS -ge $deadline ]]; do sleep 1; done
  [[ $status == 200 ]] ||
    fail "$REVISION does not start: GET /health/startup returned $status: $(head -c 300 <<<"$body" | tr '\n' ' ') The traffic stays. The input force skips this check."
  echo "$REVISION starts."
fi

# A tag could keep a revision that never started.
retry set_traffic "$REVISION 100" --clear-tags
