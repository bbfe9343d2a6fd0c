#!/usr/bin/env bash
# Moves all traffic to another revision, and nothing else: the database's schema stays. From: REVISION, or nothing for
# the one that served before. Outputs: revision; previous, which had the traffic; commit, of the revision; private; url.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

describe_revision() { # describe_revision NAME: what Cloud Run says of it is in $output, as JSON
  attempt gcloud run revisions describe "$1" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    fail "The revision $1 cannot be read. These are there: gcloud run revisions list --service=$GCP_SERVICE --region=$GCP_REGION --project=$GCP_PROJECT_ID. $(reason)"
}

label() { # label NAME: of the revision that was described last
  jq --raw-output --arg name "$1" '.metadata.labels[$name] // ""' <<<"$output"
}

describe_service
service=$output
with_traffic=$(shares status | cut -d ' ' -f 1)
previous=${with_traffic%%$'\n'*}

by_default=''
if [[ -z $REVISION ]]; then
  by_default=yes
  # While a canary runs, it is the candidate that goes, whatever its share: the one that has another of them before it.
  for name in $with_traffic; do
    describe_revision "$name"
    before=$(label previous-revision)
    if [[ $with_traffic == "$name" || $'\n'$with_traffic$'\n' == *$'\n'$before$'\n'* ]]; then
      previous=$name
      REVISION=$before
    fi
  done
  [[ -n $REVISION ]] || fail "It is not known which revision served before $previous. Run this again with the name of one."
fi
[[ $with_traffic != "$REVISION" ]] || fail "$REVISION has all of the traffic already."

describe_revision "$REVISION"
[[ $(label serving.knative.dev/service) == "$GCP_SERVICE" ]] || fail "$REVISION is not a revision of $GCP_SERVICE."
[[ $(jq --raw-output '.status.conditions[] | select(.type == "Ready").status' <<<"$output") != False ]] || fail "$REVISION never started."
commit=$(label commit-sha)
# What bootstrap.sh has made is no service, and nobody means it who does not name it.
[[ -n $commit || -z $by_default ]] || fail "Before $previous there was only the placeholder $REVISION. Run this again with its name if that is to serve."

# A tag could hold on to a revision that never started.
insist send_traffic "$REVISION 100" --clear-tags
output revision "$REVISION"
output previous "$previous"
output commit "$commit"
output url "$(jq --raw-output .status.url <<<"$service")"
output private "$(jq --raw-output "$INVOKER_IAM_DISABLED_OF | . != \"true\"" <<<"$service")"
