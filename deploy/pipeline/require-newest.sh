#!/usr/bin/env bash
# Fails when a rerun would deploy an older commit than the newest of main. Input: GH_TOKEN.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

# A new run has the newest commit.
[[ $GITHUB_RUN_ATTEMPT -gt 1 ]] || exit 0
attempt gh api "repos/$GITHUB_REPOSITORY/commits/main" --jq .sha || fail "Cannot read the newest commit of main. $(error_message)"
[[ $output == "$GITHUB_SHA" ]] ||
  fail "This rerun would deploy ${GITHUB_SHA:0:7}, but main is at ${output:0:7}. Start a new run of Deploy. To return to an older revision, run Rollback."
