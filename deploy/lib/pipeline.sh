# shellcheck shell=bash
# shellcheck disable=SC2034 # the steps that source this file read its variables
# Functions of the pipeline's steps. export-variables.sh provides their settings as environment variables.
# shellcheck source=deploy/lib/gcloud.sh
. "$(dirname "$0")/../lib/gcloud.sh"

# The summary lists how long each step took, and explains a failure from its output.
exec > >(tee -a "$RUNNER_TEMP/pipeline.log") 2>&1
step=$(basename "$0" .sh)${1:+ $1}
trap 'rm -f "$errors"; echo "$SECONDS $step" >>"$RUNNER_TEMP/timings"' EXIT

# GitHub also shows an error at the top of the run's page.
fail() { # fail MESSAGE: what is wrong, then what to do
  echo "::error title=$(basename "$0" .sh)::$1" >&2
  exit 1
}

set_output() { # set_output NAME VALUE: for later steps and jobs
  echo "$1=$2" >>"$GITHUB_OUTPUT"
}

validate_digest() { # validate_digest DIGEST
  [[ $1 =~ ^sha256:[0-9a-f]{64}$ ]] ||
    fail "Expected an image digest, got '$1'. GitHub drops an output that contains the text of a secret: check the repository's secrets."
}

# The number of the commit's newest migration.
newest_migration() {
  printf '%s\n' src/migrations/[0-9]* | sed 's|.*/||; s|[^0-9].*||' | sort -n | tail -n 1
}

# render MANIFEST: prints it with each ${NAME} replaced by the environment variable NAME
render() {
  local name list=''
  for name in $(grep -v '^ *#' "$1" | grep -o '[$][{][A-Z_]*[}]' | tr -cd 'A-Z_\n'); do
    [[ -n ${!name+set} ]] || fail "$1 has the placeholder $name, which is not set."
    list="$list\$$name "
  done
  envsubst "$list" <"$1"
}

# Reads the settings of $ENVIRONMENT. Exports those that are placeholders of deploy/service.yaml, and the others as JSON, in
# $SERVICE_ENV.
read_settings() {
  local variables name kind value entries=''
  variables=$(rows variables.txt | awk '{ printf "$%s ", $2 }')
  # shellcheck disable=SC2153 # from export-variables.sh
  settings "$ENVIRONMENT" >"$RUNNER_TEMP/settings"
  while read -r -u 3 name kind value; do
    if [[ $kind == secret ]]; then
      newest_version "$GCP_SERVICE-$value"
      entries+=$(jq --null-input --arg name "$name" --arg secret "$GCP_SERVICE-$value" --arg version "$version" \
        '{ $name, valueFrom: { secretKeyRef: { name: $secret, key: $version } } }')
    elif grep -q "^ *[^# ].*[$]{$name}" deploy/service.yaml; then
      export "$name=$value"
    else
      entries+=$(jq --null-input --arg name "$name" --arg value "$(envsubst "$variables" <<<"$value")" '{ $name, $value }')
    fi
  done 3<"$RUNNER_TEMP/settings"
  SERVICE_ENV=$(jq --slurp --compact-output . <<<"$entries")
  export SERVICE_ENV
}

# newest_version SECRET: stores the number of the newest enabled version in $version
newest_version() {
  enabled_versions "$1" || fail "Cannot list the versions of the secret $1. $(error_message)"
  version=$(sort -n <<<"$output" | tail -n 1)
  [[ -n $version ]] || fail "The secret $1 has no enabled version. Run: gcloud secrets versions add $1 --project=$GCP_PROJECT_ID --data-file=FILE"
}

enabled_versions() { # enabled_versions SECRET: stores their numbers in $output
  attempt gcloud secrets versions list "$1" --project="$GCP_PROJECT_ID" --filter=state=ENABLED --format='value(name.basename())'
}

describe_service() { # stores the service as JSON in $output
  attempt gcloud run services describe "$GCP_SERVICE" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --format=json ||
    fail "Cannot read the service $GCP_SERVICE. $(error_message)"
}

# true when Cloud Run checks the callers of the service in $output. gcloud writes True, the API true.
is_private() {
  jq '.metadata.annotations["run.googleapis.com/invoker-iam-disabled"] // "false" | ascii_downcase != "true"' <<<"$output"
}

tag_url() { # tag_url TAG REVISION: the address of the tag, if it has this revision, in the service in $output
  jq --raw-output --arg tag "$1" --arg revision "$2" '.status.traffic[]? | select(.tag == $tag and .revisionName == $revision).url' <<<"$output"
}

label() { # label NAME: of the service, job or revision in $output
  jq --raw-output --arg name "$1" '.metadata.labels[$name] // ""' <<<"$output"
}

# kept labels|annotations: those of the service or job in $output that a replace must pass on, as JSON. Google or gcloud
# writes the others. The values stay as they are: gcloud's own updates send them back in this way.
kept() {
  jq --compact-output --arg field "$1" '.metadata[$field] // {} | with_entries(select(.key
    | test("^(serving\\.knative\\.dev|cloud\\.googleapis\\.com)/|^run\\.googleapis\\.com/(client-name|client-version|ingress-status|operation-id|urls)$")
    | not))' <<<"$output"
}

# traffic_split spec|status: the requested or the actual split of the service in $output, a line "REVISION PERCENT" for
# each revision with traffic, largest first
traffic_split() {
  jq --raw-output --arg of "$1" '[.[$of].traffic[]? | select((.percent // 0) > 0)] | group_by(.revisionName)
    | map({ name: .[0].revisionName, percent: (map(.percent) | add) }) | sort_by(-.percent)[] | "\(.name) \(.percent)"' <<<"$output"
}

# set_traffic SPLIT [OPTION]: sets the split, in the format of traffic_split, and waits until it is in effect
set_traffic() {
  local deadline=$((SECONDS + TRAFFIC_TIMEOUT_SECONDS)) desired
  desired=$(sort <<<"$1")
  # Without --async, gcloud also fails when a revision without traffic is not ready, such as a candidate that never
  # started. Traffic must move in this case.
  gcloud run services update-traffic "$GCP_SERVICE" --region="$GCP_REGION" --project="$GCP_PROJECT_ID" --async \
    --to-revisions="$(tr ' ' '=' <<<"$1" | paste -s -d , -)" "${@:2}" || fail 'The traffic was not moved. The output above has the reason.'
  while true; do
    describe_service
    [[ $(traffic_split spec | sort) == "$desired" ]] || fail "Another change moves the traffic at the same time, to $(traffic_split spec | tr '\n' ';')"
    if [[ $(traffic_split status | sort) == "$desired" && $(jq '.metadata.generation == .status.observedGeneration' <<<"$output") == true ]]; then return; fi
    [[ $SECONDS -lt $deadline ]] || fail "The traffic did not move to $(tr '\n' ';' <<<"$1") It is at $(traffic_split status | tr '\n' ';')"
    sleep 1
  done
}
readonly TRAFFIC_TIMEOUT_SECONDS=${TRAFFIC_TIMEOUT_SECONDS:-60}

# retry COMMAND...: up to three times. A failure ends only the subshell.
retry() {
  local pause
  for pause in 5 15 0; do
    if ("$@"); then return; fi
    sleep "$pause"
  done
  exit 1
}

# print_log FILTER: the newest entries, oldest first. Cloud Logging may take some seconds to return them.
print_log() {
  local attempts=6
  while [[ $attempts -gt 0 ]]; do
    attempt gcloud logging read "$1" --project="$GCP_PROJECT_ID" --order=desc --limit=40 --format=json || {
      echo "Cannot read the log. $(error_message)"
      return
    }
    [[ $output == '[]' ]] || break
    attempts=$((attempts - 1))
    sleep "$LOG_DELAY_SECONDS"
  done
  echo '::group::Log'
  # GitHub runs a line that starts with two colons as a command.
  jq --raw-output 'reverse[] | [.timestamp, .severity, .jsonPayload.message // .textPayload // ""] | join(" ") | gsub("\n"; "\n| ")' <<<"$output"
  echo '::endgroup::'
}
readonly LOG_DELAY_SECONDS=${LOG_DELAY_SECONDS:-5}

# Separates the pipeline's own requests from those of users.
readonly USER_AGENT=deploy-pipeline

# http_get URL [HEADER]: stores the response's status in $status and its body in $body. Headers go through a pipe, since
# every process can read the arguments of another. Cloud Run checks INVOKER_TOKEN and leaves Authorization to the service:
# https://cloud.google.com/run/docs/authenticating/service-to-service
http_get() {
  local response
  response=$(printf '%s\n' "${2:-}" ${INVOKER_TOKEN:+"X-Serverless-Authorization: Bearer $INVOKER_TOKEN"} |
    curl --silent --show-error --max-time 30 --user-agent "$USER_AGENT" --header @- --write-out '\n%{http_code}' "$1" 2>&1) || true
  status=${response##*$'\n'}
  body=${response%$'\n'*}
}
