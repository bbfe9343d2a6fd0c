#!/usr/bin/env bash
# After a failure or a cancellation of a deployment or a rollback: takes the traffic and the tag from the revision.
# Inputs: REVISION; PREVIOUS_SPLIT, the traffic before, as REVISION=PERCENT,REVISION=PERCENT.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

split=$(tr ',=' '\n ' <<<"$PREVIOUS_SPLIT")
previous=${split%% *}

restore_traffic() {
  local desired tagged
  describe_service
  # The requested split: a cancelled step may have requested it a moment ago.
  desired=$(traffic_split spec)
  tagged=$(jq --raw-output '.spec.traffic[]? | select(.tag).revisionName' <<<"$output")
  # The revision was not created or tagged, or another change has moved the traffic since.
  if [[ $desired != *"$REVISION "* && ($tagged != "$REVISION" || $desired != *"$previous "*) ]]; then
    echo "::error title=Traffic unchanged::$REVISION got no traffic. The traffic stays at $(traffic_split status | tr '\n' ';')"
    return
  fi
  # Also without a share: the tag would keep a revision that never started in the way of the next change.
  set_traffic "$split" --clear-tags
  if [[ $desired != "$split" && $desired == *"$REVISION "* ]]; then
    echo "::error title=Traffic restored::The traffic is back at $PREVIOUS_SPLIT, as before $REVISION."
  else
    echo "::error title=Traffic unchanged::$REVISION got no traffic. The traffic is at $PREVIOUS_SPLIT."
  fi
}

# Nothing runs after this step, so it retries.
retry restore_traffic
