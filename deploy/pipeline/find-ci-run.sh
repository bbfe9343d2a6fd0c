#!/usr/bin/env bash
# Looks for a successful run of CI for the commit, which makes another run of the same checks unnecessary.
# Input: GH_TOKEN. Output: passed, true if there is one.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

attempt gh run list --repo="$GITHUB_REPOSITORY" --workflow=ci.yml --commit="$GITHUB_SHA" --branch=main --event=push \
  --status=success --limit=1 --json=url --jq='.[].url' || {
  echo "Cannot list the runs of CI. $(error_message)"
  output=''
}
if [[ -n $output ]]; then
  echo "CI has passed for this commit: $output"
  set_output passed true
else
  echo 'No run of CI has passed for this commit yet, so its checks run here.'
fi
