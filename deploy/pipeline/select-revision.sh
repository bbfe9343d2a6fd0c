#!/usr/bin/env bash
# Selects the revision of a rollback, and makes it reachable under the tag `rollback`. The traffic stays as it is.
# Inputs: REVISION, by default the revision before the deployed one; FORCE, true to skip the tag.
# Outputs: revision; revision-url, under the tag; commit, of the revision; previous-revision, which has most of the traffic.
# Also previous-split, of all traffic; private, true when Cloud Run checks callers; url, of the service.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

# A value such as --flags-file=FILE would be an option of gcloud.
[[ -z $REVISION || $REVISION =~ ^[a-z][a-z0-9-]*$ ]] || fail 'The input revision must be the name of a revision: lowercase letters, digits and hyphens.'

describe_revision() { # describe_revision NAME: stores it as JSON in $output
  attempt gcloud run revisions describe "$1" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    fail "Cannot read the revision $1. To list the revisions: gcloud run revisions list --service=$GCP_SERVICE --region=$GCP_REGION --project=$GCP_PROJECT_ID. $(error_message)"
}

note() { # note TEXT: a warning in the log and in the summary
  echo "::warning title=Rollback::$1"
  echo "$1" >>"$RUNNER_TEMP/notes"
}

# A revision keeps the versions of its secrets. It cannot connect with a password that has been changed since.
compare_secrets() { # compare_secrets SECRETS: a line "NAME VERSION" for each
  local secret used newest
  while read -r -u 3 secret used; do
    enabled_versions "$secret" || { note "Cannot compare the version of the secret $secret. $(error_message)" && continue; }
    newest=$(sort -n <<<"$output" | tail -n 1)
    [[ $used == latest || $used == "$newest" ]] ||
      note "$REVISION uses version $used of the secret $secret; the newest enabled version is ${newest:-none}. If the value was replaced, the revision cannot use it."
  done 3<<<"$1"
}

compare_schema() { # compare_schema MIGRATION: the newest migration of the revision
  local newest
  attempt gcloud run jobs describe "$GCP_SERVICE-migrate" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    { note "Cannot compare the schema. $(error_message)" && return; }
  newest=$(label newest-migration)
  [[ ${1:-0} -ge ${newest:-0} ]] ||
    note "The schema is newer than $REVISION: its newest migration is ${1:-unknown}, and $newest has run. Rollbacks do not revert migrations: docs/deployment/operate.md, \"Schema changes\"."
}

tag_revision() {
  local deadline=$((SECONDS + TRAFFIC_TIMEOUT_SECONDS))
  # --set-tags also removes the other tags: the tag of a revision that never started would block this change, and a running
  # deployment stops without its tag. --async as in set_traffic.
  gcloud run services update-traffic "$GCP_SERVICE" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --async \
    --set-tags="rollback=$REVISION" || fail 'The revision was not tagged. The output above has the reason.'
  while describe_service && [[ -z $(tag_url rollback "$REVISION") ]]; do
    [[ $SECONDS -lt $deadline ]] || fail "Cloud Run did not tag $REVISION in time."
    sleep 1
  done
}

describe_service
service=$output
split=$(traffic_split status)
serving=$(cut -d ' ' -f 1 <<<"$split")
previous=${serving%%$'\n'*}

is_default=''
if [[ -z $REVISION ]]; then
  is_default=yes
  # During a canary, the candidate is rolled back regardless of its share: its label names another revision with traffic.
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

set_output commit "$commit"
migration=$(label newest-migration)
secrets=$(jq --raw-output '.spec.containers[].env[]?.valueFrom.secretKeyRef | select(.) | "\(.name) \(.key)"' <<<"$output")
[[ -z $secrets ]] || compare_secrets "$secrets"
[[ -z $commit ]] || compare_schema "$migration"

# Set before the change, so that restore-traffic.sh can undo it.
set_output revision "$REVISION"
set_output previous-revision "$previous"
set_output previous-split "$(tr ' ' '=' <<<"$split" | paste -s -d , -)"
output=$service
set_output url "$(jq --raw-output .status.url <<<"$output")"
set_output private "$(is_private)"
if [[ $FORCE != true ]]; then
  retry tag_revision
  describe_service
  set_output revision-url "$(tag_url rollback "$REVISION")"
fi
