#!/usr/bin/env bash
# Moves all traffic to another revision. The database schema stays as it is. Input: REVISION, by default the previous one.
# Outputs: revision; previous-revision, which had the traffic; commit, of the revision; private; url.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

describe_revision() { # describe_revision NAME: stores it as JSON in $output
  attempt gcloud run revisions describe "$1" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    fail "Cannot read the revision $1. To list the revisions: gcloud run revisions list --service=$GCP_SERVICE --region=$GCP_REGION --project=$GCP_PROJECT_ID. $(error_message)"
}

label() { # label NAME: of the revision in $output
  jq --raw-output --arg name "$1" '.metadata.labels[$name] // ""' <<<"$output"
}

describe_service
service=$output
serving=$(traffic_split status | cut -d ' ' -f 1)
previous=${serving%%$'\n'*}

is_default=''
if [[ -z $REVISION ]]; then
  is_default=yes
  # During a canary, rolls back the candidate, regardless of its share: its label names another revision with traffic.
  for name in $serving; do
    describe_revision "$name"
    before=$(label previous-revision)
    if [[ $serving == "$name" || $'\n'$serving$'\n' == *$'\n'$before$'\n'* ]]; then
      previous=$name
      REVISION=$before
    fi
  done
  [[ -n $REVISION ]] || fail "$previous has no label previous-revision. Rerun with the name of a revision."
fi
[[ $serving != "$REVISION" ]] || fail "$REVISION already has all traffic."

describe_revision "$REVISION"
[[ $(label serving.knative.dev/service) == "$GCP_SERVICE" ]] || fail "$REVISION is not a revision of $GCP_SERVICE."
[[ $(jq --raw-output '.status.conditions[] | select(.type == "Ready").status' <<<"$output") != False ]] || fail "$REVISION never started."
commit=$(label commit-sha)
# Google's sample of bootstrap.sh only serves on explicit request.
[[ -n $commit || -z $is_default ]] || fail "The revision before $previous is the placeholder $REVISION. Rerun with its name to serve it."

# A tag could keep a revision that never started.
retry set_traffic "$REVISION 100" --clear-tags
set_output revision "$REVISION"
set_output previous-revision "$previous"
set_output commit "$commit"
set_output url "$(jq --raw-output .status.url <<<"$service")"
set_output private "$(jq --raw-output "$INVOKER_IAM_DISABLED_FILTER | . != \"true\"" <<<"$service")"
