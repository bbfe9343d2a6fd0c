# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file read its variables
# Resource names and gcloud calls, for bootstrap.sh, teardown.sh and the pipeline. Runs on bash 3.2.
set -euo pipefail

# A prompt would be lost in the captured output. gcloud also prompts to enable APIs.
export CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API=false

# gcloud's errors until IAM, or an API just enabled, has propagated.
readonly NOT_PROPAGATED='has not been used in project .* before or it is disabled|Service account .* does not exist|Identity Pool does not exist|concurrent policy changes|actAs.* denied on .*\(or it may not exist\)'
readonly NOT_FOUND='NOT_FOUND|not found|Cannot find (service|job|revision) |instance does not exist'
readonly RETRY_SECONDS=10 MAX_RETRIES=30

project='' region='' repo='' service='' environment=production
cloud_sql='' with_cloud_build=''
dry_run=''
wait_for_propagation=''
output=''
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

fail() { # fail MESSAGE: what is wrong, then what to do
  echo "$(basename "$0"): $1" >&2
  exit 1
}

log() { # log TEXT
  echo "  $1"
}

# parse_options FLAGS VALUES ARGUMENT...: sets $dry_run=yes for the flag --dry-run, $cloud_sql=NAME for --cloud-sql NAME
parse_options() {
  local flags=" $1 " values=" $2 " name
  shift 2
  while [[ $# -gt 0 ]]; do
    name=${1#--}
    if [[ $1 == --help ]]; then
      usage
      exit
    elif [[ $flags == *" $name "* ]]; then
      printf -v "${name//-/_}" yes
    elif [[ $values == *" $name "* ]]; then
      [[ -n ${2:-} && $2 != --* ]] || fail "$1 needs a value."
      printf -v "${name//-/_}" %s "$2"
      shift
    else
      # The value is not printed: it may be a secret.
      fail "Unknown option ${1%%=*}. Write a value after its option and a space. --help lists the options."
    fi
    shift
  done
}

rows() { # rows FILE: the lines of a list in deploy/, without comments
  grep '^[^#]' "$(dirname "$0")/$1"
}

applies() { # applies OPTION: whether bootstrap.sh needs a row with this option in its first column
  case $1 in
    always) ;;
    manual) return 1 ;;
    --cloud-sql) [[ -n $cloud_sql ]] ;;
    --with-cloud-build) [[ -n $with_cloud_build ]] ;;
    *) fail "A list in deploy/ has the unknown option $1." ;;
  esac
}

# The last error of gcloud or gh, on one line.
error_message() {
  grep 'ERROR' <<<"$output" | tail -n 1 | grep . || tail -n 1 <<<"$output"
}

# attempt COMMAND...: stores its standard output in $output, or its errors if it fails. With $wait_for_propagation it
# retries for up to five minutes.
attempt() {
  local retries=0
  until output=$("$@" 2>"$errors"); do
    output=$(<"$errors")
    [[ -n $wait_for_propagation && $output =~ $NOT_PROPAGATED && $retries -lt $MAX_RETRIES ]] || return 1
    [[ $retries -gt 0 ]] || log 'waiting for the change to propagate'
    retries=$((retries + 1))
    sleep "$RETRY_SECONDS"
  done
}

# exists DESCRIBE...: whether the resource exists. A denied request fails; a disabled API means that nothing exists yet.
exists() {
  attempt "$@" && return
  [[ $output =~ $NOT_FOUND ]] && return 1
  [[ -z $wait_for_propagation && $output =~ $NOT_PROPAGATED ]] && return 1
  fail "$(error_message)"
}

# run COMMAND...: the only way in which bootstrap.sh and teardown.sh change anything. A dry run prints the command.
run() {
  if [[ -n $dry_run ]]; then
    printf '  would run:'
    printf ' %q' "$@"
    echo
  else
    attempt "$@" || fail "$(error_message) (Fix the cause, then rerun this script: it is idempotent.)"
  fi
}

validate() { # validate OPTION VALUE PATTERN MEANING
  [[ $2 =~ $3 ]] || fail "$1 must be $4, not '$2'."
}

# Derives every name from $service, by default the repository's name, with the environment unless that is production.
set_names() {
  validate --environment "$environment" '^[a-z][a-z0-9-]*$' 'lower-case letters, digits and hyphens'
  if [[ -z $service ]]; then
    service=$(tr '[:upper:]_.' '[:lower:]--' <<<"${repo#*/}")
    [[ $environment == production ]] || service=$service-$environment
  fi
  validate --project "$project" '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' "a project's id"
  validate --region "$region" '^[a-z]+-[a-z]+[0-9]+$' 'a region such as europe-west1'
  # An account's name has at most 30 characters, of which "-runtime" takes 8.
  validate --service "$service" '^[a-z][a-z0-9-]{0,20}[a-z0-9]$' '2 to 22 lower-case letters, digits and hyphens'
  [[ $service != gcp-* ]] || fail '--service must not begin with gcp-, which Google reserves.'

  deployer=$service-deploy@$project.iam.gserviceaccount.com
  runtime=$service-runtime@$project.iam.gserviceaccount.com
  migrator=$service-migrate@$project.iam.gserviceaccount.com
  builder=$service-build@$project.iam.gserviceaccount.com
  repository=$service
  pool=$service-github
  provider=github
  job=$service-migrate
  runtime_secret=$service-database-url
  migrator_secret=$service-migrator-database-url
  build_bucket=$project-$service-source
  build_log_bucket=$project-$service-logs
}

# Checks that gcloud is installed, signed in and can read the project. Sets $project_number.
check_gcloud() {
  command -v gcloud >/dev/null || fail 'gcloud is not installed. See https://cloud.google.com/sdk/docs/install'
  attempt gcloud auth list --filter=status:ACTIVE --format='value(account)' || output=''
  [[ -n $output ]] || fail 'gcloud is not signed in. Run: gcloud auth login'
  attempt gcloud projects describe "$project" --format='value(projectNumber)' ||
    fail "Cannot read the project $project. gcloud projects list prints the ids of your projects. $(error_message)"
  project_number=$output
}
