# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used by those who source it
# What the steps of the workflows share. Their settings come from settings.sh, by the environment.
# shellcheck source=deploy/cloud.sh
. "$(dirname "$0")/../cloud.sh"

# The summary tells how long each step took, and explains a failure from what it said.
exec > >(tee -a "$RUNNER_TEMP/pipeline.log") 2>&1
trap 'rm -f "$errors"; echo "$(basename "$0" .sh) $SECONDS" >>"$RUNNER_TEMP/timings"' EXIT

# GitHub shows an error also at the top of the run's page.
fail() { # fail MESSAGE: what is wrong, and what to do
  echo "::error title=$(basename "$0" .sh)::$1" >&2
  exit 1
}

output() { # output NAME VALUE: for the steps and jobs that follow
  echo "$1=$2" >>"$GITHUB_OUTPUT"
}

# GitHub drops a job's output that contains the text of a secret, and a job without it would deploy who knows what.
check_digest() { # check_digest DIGEST
  [[ $1 =~ ^sha256:[0-9a-f]{64}$ ]] || fail "The build handed on no digest but '$1'. Is one of the repository's secrets a part of it?"
}

# fill MANIFEST NAME...: the manifest with these variables in the place of their names
fill() {
  local name list=''
  for name in "${@:2}"; do
    [[ -n ${!name+set} ]] || fail "$name, a placeholder of $1, is not set."
    list="$list\$$name "
  done
  envsubst "$list" <"$1"
}

# newest_version SECRET: the number of its newest enabled version is in $version. A number, because `latest` would give two
# instances of one revision different passwords.
newest_version() {
  attempt gcloud secrets versions list "$1" --project="$GCP_PROJECT_ID" --filter=state=ENABLED --format='value(name.basename())' ||
    fail "The versions of the secret $1 cannot be listed. $(reason)"
  version=$(sort -n <<<"$output" | tail -n 1)
  [[ -n $version ]] || fail "The secret $1 has no enabled version. Run: gcloud secrets versions add $1 --project=$GCP_PROJECT_ID --data-file=FILE"
}

describe_service() { # what Cloud Run says of the service is in $output, as JSON
  attempt gcloud run services describe "$GCP_SERVICE" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    fail "The service $GCP_SERVICE cannot be read. $(reason)"
}

# true where everybody may call. gcloud writes True.
readonly INVOKER_IAM_DISABLED_OF='.metadata.annotations["run.googleapis.com/invoker-iam-disabled"] // "false" | ascii_downcase'

# shares spec|status: who is to get, or gets, how much of the traffic, after describe_service: a line "REVISION PERCENT"
# for each, the largest first
shares() {
  jq --raw-output --arg of "$1" '[.[$of].traffic[]? | select((.percent // 0) > 0)] | group_by(.revisionName)
    | map({ name: .[0].revisionName, percent: (map(.percent) | add) }) | sort_by(-.percent)[] | "\(.name) \(.percent)"' <<<"$output"
}

# send_traffic LINES [OPTION]: LINES as shares prints them
send_traffic() {
  local deadline=$((SECONDS + TRAFFIC_SECONDS)) wish
  wish=$(sort <<<"$1")
  # Without waiting: gcloud would call it a failure, too, that a revision without traffic is not ready, such as a candidate
  # that never started, and just then traffic must move.
  gcloud run services update-traffic "$GCP_SERVICE" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --async \
    --to-revisions="$(tr ' ' '=' <<<"$1" | paste -s -d , -)" "${@:2}" || fail 'The traffic was not moved; the reason stands above.'
  # What counts is where it is, once Cloud Run has dealt with the newest wish, and that this is the wish.
  while true; do
    describe_service
    [[ $(shares spec | sort) == "$wish" ]] || fail "Somebody else moves the traffic at the same time, to $(shares spec | tr '\n' ';')"
    if [[ $(shares status | sort) == "$wish" && $(jq '.metadata.generation == .status.observedGeneration' <<<"$output") == true ]]; then return; fi
    [[ $SECONDS -lt $deadline ]] || fail "The traffic did not move to $(tr '\n' ';' <<<"$1") It is at $(shares status | tr '\n' ';')"
    sleep 1
  done
}
readonly TRAFFIC_SECONDS=${TRAFFIC_SECONDS:-60}

# insist COMMAND...: up to three times. What fails ends only the shell in brackets.
insist() {
  local pause
  for pause in 5 15 0; do
    if ("$@"); then return; fi
    sleep "$pause"
  done
  exit 1
}

# show_log FILTER: the newest lines, oldest first. Cloud Logging may need some seconds until it has them.
show_log() {
  local tries=6
  while [[ $tries -gt 0 ]]; do
    attempt gcloud logging read "$1" --project="$GCP_PROJECT_ID" --order=desc --limit=40 --format=json || {
      echo "The log cannot be read. $(reason)"
      return
    }
    [[ $output == '[]' ]] || break
    tries=$((tries - 1))
    sleep "$LOG_DELAY_SECONDS"
  done
  echo '::group::The log'
  # A line that began with two colons would be a command to GitHub.
  jq --raw-output 'reverse[] | [.timestamp, .severity, .jsonPayload.message // .textPayload // ""] | join(" ") | gsub("\n"; "\n| ")' <<<"$output"
  echo '::endgroup::'
}
readonly LOG_DELAY_SECONDS=${LOG_DELAY_SECONDS:-5}

# The own requests of the pipeline can be told from everybody else's by this.
readonly USER_AGENT=deploy-pipeline

# ask URL [HEADER]: the status of the answer is in $status, its body in $body. Tokens go through a pipe, because
# everybody on the machine can read the arguments of a process. INVOKER_TOKEN is for Cloud Run's own check of callers,
# which leaves Authorization to the service: https://cloud.google.com/run/docs/authenticating/service-to-service
ask() {
  local answer
  answer=$(printf '%s\n' "${2:-}" ${INVOKER_TOKEN:+"X-Serverless-Authorization: Bearer $INVOKER_TOKEN"} |
    curl --silent --show-error --max-time 30 --user-agent "$USER_AGENT" --header @- --write-out '\n%{http_code}' "$1" 2>&1) || true
  status=${answer##*$'\n'}
  body=${answer%$'\n'*}
}
