# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used by those who source it
# What bootstrap.sh and teardown.sh share: what things are called, and how gcloud is asked. For bash 3.2.
set -euo pipefail

# A question would be lost in the captured output, and one that gcloud asks offers to enable an API.
export CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API=false

# What gcloud says until IAM, or an API just enabled, is known everywhere.
readonly NOT_YET='has not been used in project .* before or it is disabled|Service account .* does not exist|Identity Pool does not exist|concurrent policy changes|actAs.* denied on .*\(or it may not exist\)'
readonly NOT_THERE='NOT_FOUND|not found|Cannot find (service|job|revision) |instance does not exist'
readonly WAIT_SECONDS=10 WAITS=30

project='' region='' repo='' service='' environment=production
dry_run=''
patient=''
output=''
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

fail() { # fail MESSAGE: what is wrong, and what to do
  echo "$(basename "$0"): $1" >&2
  exit 1
}

said() { # said TEXT: what a step has found or done
  echo "  $1"
}

# What gcloud or gh had against the last command, on one line.
reason() {
  grep 'ERROR' <<<"$output" | tail -n 1 | grep . || tail -n 1 <<<"$output"
}

# attempt COMMAND...: what it prints is in $output, without warnings; if it fails, its errors are. If $patient, waits up
# to five minutes for what is not known everywhere.
attempt() {
  local waits=0
  until output=$("$@" 2>"$errors"); do
    output=$(<"$errors")
    [[ -n $patient && $output =~ $NOT_YET && $waits -lt $WAITS ]] || return 1
    [[ $waits -gt 0 ]] || said 'not known everywhere yet, waiting'
    waits=$((waits + 1))
    sleep "$WAIT_SECONDS"
  done
}

# exists DESCRIBE...: whether it is there. A refusal is not an absence, but before its API is enabled there is nothing.
exists() {
  attempt "$@" && return
  [[ $output =~ $NOT_THERE ]] && return 1
  [[ -z $patient && $output =~ $NOT_YET ]] && return 1
  fail "$(reason)"
}

# change COMMAND...: all that alters anything goes through here.
change() {
  if [[ -n $dry_run ]]; then
    printf '  would run:'
    printf ' %q' "$@"
    echo
  else
    attempt "$@" || fail "$(reason) (Nothing is lost: put it right, then run this again.)"
  fi
}

check_form() { # check_form OPTION VALUE PATTERN MEANING
  [[ $2 =~ $3 ]] || fail "$1 must be $4, not '$2'."
}

# Names everything after $service, which is by default the name of the repository, and in another environment than
# production bears that one's name, too.
name_everything() {
  check_form --environment "$environment" '^[a-z][a-z0-9-]*$' 'lower-case letters, digits and hyphens'
  if [[ -z $service ]]; then
    service=$(tr '[:upper:]_.' '[:lower:]--' <<<"${repo#*/}")
    [[ $environment == production ]] || service=$service-$environment
  fi
  check_form --project "$project" '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' "a project's id"
  check_form --region "$region" '^[a-z]+-[a-z]+[0-9]+$' 'a region such as europe-west1'
  # The name of an account has 30 characters at most, and "-runtime" takes 8.
  check_form --service "$service" '^[a-z][a-z0-9-]{0,20}[a-z0-9]$' '2 to 22 lower-case letters, digits and hyphens'
  [[ $service != gcp-* ]] || fail '--service must not begin with gcp-, which Google keeps for itself.'

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

# gcloud is there, signed in, and sees the project, whose number is in $project_number.
check_gcloud() {
  command -v gcloud >/dev/null || fail 'gcloud is not installed. https://cloud.google.com/sdk/docs/install says how.'
  attempt gcloud auth list --filter=status:ACTIVE --format='value(account)' || output=''
  [[ -n $output ]] || fail 'gcloud is not signed in. Run: gcloud auth login'
  attempt gcloud projects describe "$project" --format='value(projectNumber)' ||
    fail "The project $project cannot be read. Its id is one of those that this prints: gcloud projects list. $(reason)"
  project_number=$output
}
