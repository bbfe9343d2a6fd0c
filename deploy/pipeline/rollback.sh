#!/usr/bin/env bash
# Moves all traffic to another revision, and nothing else: the database's schema stays. From: REVISION, or nothing for
# the one that served before. Outputs: revision; previous, which had the traffic; commit, of the revision; private; url.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

describe_revision() { # describe_revision NAME: what Cloud Run says of it is in $output, as JSON
  attempt gcloud run revisions describe "$1" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    fail "The revision $1 cannot be read. These are there: gcloud run revisions list --service=$GCP_SERVICE --region=$GCP_REGION --project=$GCP_PROJECT_ID. $(reason)"
}

describe_service
service=$output
serving=$(shares | head -n 1)
previous=${serving% *}

if [[ -z $REVISION ]]; then
  describe_revision "$previous"
  REVISION=$(jq --raw-output '.metadata.labels["previous-revision"] // ""' <<<"$output")
  [[ -n $REVISION ]] || fail "$previous does not say which revision served before it. Run this again with the name of one."
fi
[[ $serving != "$REVISION 100" ]] || fail "$REVISION has all of the traffic already."

describe_revision "$REVISION"
[[ $(jq --raw-output '.metadata.labels["serving.knative.dev/service"]' <<<"$output") == "$GCP_SERVICE" ]] || fail "$REVISION is not a revision of $GCP_SERVICE."
commit=$(jq --raw-output '.metadata.labels["commit-sha"] // ""' <<<"$output")

send_traffic "$REVISION 100"
output revision "$REVISION"
output previous "$previous"
output commit "$commit"
output url "$(jq --raw-output .status.url <<<"$service")"
output private "$(jq --raw-output '.metadata.annotations["run.googleapis.com/invoker-iam-disabled"] != "true"' <<<"$service")"
