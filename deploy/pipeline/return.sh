#!/usr/bin/env bash
# After a failure or a cancellation: takes back whatever traffic the candidate has. From: REVISION and SERVING.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

describe_service
if shares | grep -q "^$REVISION "; then
  send_traffic "$SERVING 100"
  echo "::error title=Traffic returned::All traffic is back at $SERVING; $REVISION has none."
else
  echo "::error title=Not deployed::$REVISION got no traffic. It is at $(shares | tr '\n' ' ')%."
fi
