#!/usr/bin/env bash
# After a failure or a cancellation: takes the traffic and the tag from the candidate. Inputs: REVISION and
# PREVIOUS_REVISION.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

restore_traffic() {
  local desired tagged
  describe_service
  # The requested split: a cancelled step may have requested it a moment ago.
  desired=$(traffic_split spec)
  tagged=$(jq --raw-output '.spec.traffic[]? | select(.tag).revisionName' <<<"$output")
  # The revision was not created, or a rollback has removed it from the traffic.
  if [[ $desired != *"$REVISION "* && ($tagged != "$REVISION" || $desired != *"$PREVIOUS_REVISION "*) ]]; then
    echo "::error title=Not deployed::$REVISION got no traffic. The traffic stays at $(traffic_split status | tr '\n' ';')"
    return
  fi
  # Also without a share: the tag would keep a revision that never started in the way of the next change.
  set_traffic "$PREVIOUS_REVISION 100" --clear-tags
  if [[ $desired == *"$REVISION "* ]]; then
    echo "::error title=Traffic restored::All traffic is back at $PREVIOUS_REVISION; $REVISION has none."
  else
    echo "::error title=Not deployed::$REVISION got no traffic. All traffic is at $PREVIOUS_REVISION."
  fi
}

# Nothing runs after this step, so it retries.
retry restore_traffic
