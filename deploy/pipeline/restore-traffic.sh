#!/usr/bin/env bash
# After a failure or a cancellation: takes back whatever traffic the candidate has, and its tag. From: REVISION and SERVING.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

return_traffic() {
  local wish tagged
  describe_service
  # What Cloud Run is told to do: a step that was cancelled may have told it a moment ago.
  wish=$(shares spec)
  tagged=$(jq --raw-output '.spec.traffic[]? | select(.tag).revisionName' <<<"$output")
  # It was not made, or a rollback has taken it out.
  if [[ $wish != *"$REVISION "* && ($tagged != "$REVISION" || $wish != *"$SERVING "*) ]]; then
    echo "::error title=Not deployed::$REVISION got no traffic. It stays at $(shares status | tr '\n' ';')"
    return
  fi
  # Also without a share of its own: the tag would keep a revision that never started in the way of the next change.
  send_traffic "$SERVING 100" --clear-tags
  if [[ $wish == *"$REVISION "* ]]; then
    echo "::error title=Traffic returned::All traffic is back at $SERVING; $REVISION has none."
  else
    echo "::error title=Not deployed::$REVISION got no traffic. All of it is at $SERVING."
  fi
}

# It is the last chance, so one refusal is not the end.
insist return_traffic
