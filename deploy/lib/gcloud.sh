# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file read its variables
# Resource names and gcloud calls, for bootstrap.sh, teardown.sh and the pipeline. Runs on bash 3.2.
set -euo pipefail

# A prompt would be lost in the captured output. gcloud also prompts to enable APIs.
export CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API=false
# gcloud's log files contain the values of all flags. A password would remain on the disk.
export CLOUDSDK_CORE_DISABLE_FILE_LOGGING=true CLOUDSDK_CORE_LOG_HTTP=false CLOUDSDK_CORE_VERBOSITY=warning

# gcloud's errors until IAM, or an API just enabled, has propagated.
readonly NOT_PROPAGATED='has not been used in project .* before or it is disabled|Service account .* does not exist|Identity Pool does not exist|concurrent policy changes|actAs.* denied on .*\(or it may not exist\)'
# The same for a new grant on a secret and a new metric, and errors of a busy Cloud SQL instance.
readonly NOT_READY='Permission denied on secret|serviceAccounts.getAccessToken. denied|Cannot find metric|[Aa]nother operation was already in progress'
readonly NOT_FOUND='NOT_FOUND|not found|HTTPError 404|Cannot find (service|job|revision) |instance does not exist'
readonly RETRY_SECONDS=10 MAX_RETRIES=30
# 496 has --no-invoker-iam-check.
readonly MIN_GCLOUD_VERSION=496

project='' region='' repo='' service='' environment=production
cloud_sql='' with_cloud_build='' github_environment=''
dry_run=''
wait_for_propagation=''
foreign=''
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
  grep '^[^#]' "$(dirname "${BASH_SOURCE[0]}")/../$1"
}

# settings ENVIRONMENT: a line "NAME KIND VALUE" for each setting of deploy/settings.txt. A line of the environment takes
# precedence over a line of all.
settings() {
  local name
  name=$(rows settings.txt | awk '!/^[A-Z][A-Z0-9_]* +[a-z][a-z0-9-]* +(plain( .*)?|secret +[a-z][a-z0-9-]*) *$/ { print $1; exit }')
  # The line is not printed: its value may be a secret.
  [[ -z $name ]] || fail "deploy/settings.txt has an invalid line for $name. A line is NAME, ENVIRONMENT or all, plain or secret, VALUE."
  name=$(rows settings.txt | awk 'seen[$1, $2]++ { print $1; exit }')
  [[ -z $name ]] || fail "deploy/settings.txt has two lines for $name and the same environment. Remove one of them."
  ! rows settings.txt | grep -qE ' secret +(migrator-database-url|database-roles) *$' ||
    fail 'deploy/settings.txt gives the service a secret of the migrations. Choose another name.'
  rows settings.txt | awk -v environment="$1" '
    $2 == environment { own[$1] = 1 }
    $2 == environment || $2 == "all" { lines[++count] = $0 }
    END {
      for (i = 1; i <= count; i++) {
        split(lines[i], column, / +/)
        if (column[2] == "all" && column[1] in own) continue
        value = lines[i]
        sub(/^[^ ]+ +[^ ]+ +[^ ]+ */, "", value)
        print column[1], column[3], value
      }
    }'
}

# schedules ENVIRONMENT: a line "JOB TIME_ZONE SCHEDULE" for each line of deploy/schedules.txt that applies
schedules() {
  local name
  # JOB, ENVIRONMENT, TIME ZONE and the five fields of SCHEDULE.
  name=$({ rows schedules.txt || true; } | awk 'NF != 8 || !/^[a-z][a-z0-9-]* +[a-z][a-z0-9-]* +[A-Za-z0-9_\/+-]+( +[A-Za-z0-9*\/,-]+)+ *$/ { print $1; exit }')
  [[ -z $name ]] || fail "deploy/schedules.txt has an invalid line for $name. A line is JOB, ENVIRONMENT or all, TIME ZONE, and SCHEDULE with five fields."
  name=$({ rows schedules.txt || true; } | awk -v environment="$1" '($2 == environment || $2 == "all") && seen[$1]++ { print $1; exit }')
  [[ -z $name ]] || fail "deploy/schedules.txt has two lines for $name and the environment $1. Remove one of them."
  { rows schedules.txt || true; } | awk -v environment="$1" '$2 == environment || $2 == "all" { $2 = ""; print }'
}

# setting NAME: the value of a plain setting of $environment
setting() {
  settings "$environment" | sed -n "s/^$1 plain //p"
}

applies() { # applies OPTION: whether bootstrap.sh needs a row with this option in its first column
  case $1 in
    always) ;;
    jobs) [[ -n $(own_jobs) ]] ;;
    manual) return 1 ;;
    --cloud-sql) [[ -n $cloud_sql ]] ;;
    --with-cloud-build) [[ -n $with_cloud_build ]] ;;
    --github-environment) [[ -n $github_environment ]] ;;
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
    [[ -n $wait_for_propagation && ($output =~ $NOT_PROPAGATED || $output =~ $NOT_READY) && $retries -lt $MAX_RETRIES ]] || return 1
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

# remove TITLE GROUP NAME [OPTION...]: deletes a resource if it exists
remove() {
  local title=$1 group
  read -r -a group <<<"$2"
  exists gcloud "${group[@]}" describe "${@:3}" --project="$project" || return 0
  run gcloud "${group[@]}" delete "${@:3}" --project="$project"
  log "removed the $title"
}

validate() { # validate OPTION VALUE PATTERN MEANING
  [[ $2 =~ $3 ]] || fail "$1 must be $4, not '$2'."
}

own_secrets() { # own_secrets: the secrets of deploy/settings.txt for $environment, except the database URL
  local name kind value
  settings "$environment" | while read -r name kind value; do
    [[ $kind != secret || $value == database-url ]] || echo "$service-$value"
  done
}

own_schedules() { # own_schedules: the entries of Cloud Scheduler
  schedules "$environment" | while read -r name _; do echo "$service-$name"; done
}

own_jobs() { # own_jobs: the jobs of deploy/jobs/
  local file
  for file in "$(dirname "${BASH_SOURCE[0]}")"/../jobs/*.yaml; do
    [[ ! -f $file ]] || echo "$service-$(basename "$file" .yaml)"
  done
}

# Derives every name from $service, by default the repository's name, with the environment unless that is production.
set_names() {
  # No hyphens: deploy.yml derives the name of a repository variable, and GitHub's expressions cannot replace a character.
  validate --environment "$environment" '^[a-z][a-z0-9]*$' 'lowercase letters and digits'
  if [[ -z $service ]]; then
    service=$(tr '[:upper:]_.' '[:lower:]--' <<<"${repo#*/}")
    [[ $environment == production ]] || service=$service-$environment
  fi
  validate --project "$project" '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' "a project's id"
  validate --region "$region" '^[a-z]+-[a-z]+[0-9]+$' 'a region such as europe-west1'
  # An account's name has at most 30 characters, of which "-runtime" takes 8.
  validate --service "$service" '^[a-z][a-z0-9-]{0,20}[a-z0-9]$' '2 to 22 lowercase letters, digits and hyphens'
  settings "$environment" >/dev/null
  schedules "$environment" >/dev/null
  [[ $service != gcp-* ]] || fail '--service must not begin with gcp-, which Google reserves.'

  deployer=$service-deploy@$project.iam.gserviceaccount.com
  runtime=$service-runtime@$project.iam.gserviceaccount.com
  migrator=$service-migrate@$project.iam.gserviceaccount.com
  scheduler=$service-cron@$project.iam.gserviceaccount.com
  builder=$service-build@$project.iam.gserviceaccount.com
  repository=$service
  pool=$service-github
  provider=github
  job=$service-migrate
  # A job and a secret that exist only while bootstrap.sh creates the database roles.
  roles_job=$service-database-roles
  roles_secret=$service-database-roles
  runtime_secret=$service-database-url
  migrator_secret=$service-migrator-database-url
  build_bucket=$project-$service-source
  build_log_bucket=$project-$service-logs
  # The ownership mark of a resource that has a description and no labels. Labels are managed-by=SERVICE.
  description="Managed by deploy/bootstrap.sh for $service"
}

# Checks that gcloud is installed and recent enough.
check_gcloud_version() { # check_gcloud_version MINIMUM
  command -v gcloud >/dev/null || fail 'gcloud is not installed. See https://cloud.google.com/sdk/docs/install'
  attempt gcloud version --format='value("Google Cloud SDK")' || fail "$(error_message)"
  [[ ${output%%.*} =~ ^[0-9]+$ && ${output%%.*} -ge $1 ]] ||
    fail "gcloud ${output:-without a version} is too old: $1 is the minimum. Run: gcloud components update (or update its package)"
}

# Checks that gcloud is signed in and can read the project. Sets $project_number.
check_access_to_project() {
  attempt gcloud auth list --filter=status:ACTIVE --format='value(account)' || output=''
  [[ -n $output ]] || fail 'gcloud is not signed in. Run: gcloud auth login'
  attempt gcloud projects describe "$project" --format='value(projectNumber)' ||
    fail "Cannot read the project $project. gcloud projects list prints the ids of your projects. $(error_message)"
  project_number=$output
}

# ── Ownership: bootstrap.sh marks what it creates, and neither script uses or deletes a resource without the mark ─────────

# for_each_resource FUNCTION: calls it for each resource with a title, the gcloud group, the name and the other arguments.
# Without Cloud Build, it leaves out the build account and the buckets.
for_each_resource() {
  local name
  "$1" registry 'artifacts repositories' "$repository" --location="$region"
  for name in "$deployer" "$runtime" "$migrator" "$scheduler" ${with_cloud_build:+"$builder"}; do "$1" account 'iam service-accounts' "$name"; done
  "$1" pool 'iam workload-identity-pools' "$pool" --location=global
  "$1" provider 'iam workload-identity-pools providers' "$provider" --workload-identity-pool="$pool" --location=global
  for name in "$runtime_secret" "$migrator_secret" "$roles_secret" $(own_secrets); do "$1" secret secrets "$name"; done
  "$1" service 'run services' "$service" --region="$region"
  for name in "$job" "$roles_job" $(own_jobs); do "$1" job 'run jobs' "$name" --region="$region"; done
  for name in $(own_schedules); do "$1" schedule 'scheduler jobs' "$name" --location="$region"; done
  [[ -n $with_cloud_build ]] || return 0
  for name in "$build_bucket" "$build_log_bucket"; do "$1" bucket 'storage buckets' "gs://$name"; done
}

# find_owner GROUP NAME [OPTION...]: stores the mark of the resource in $owner, empty without one. Fails if the resource does
# not exist.
find_owner() {
  local group field=labels.managed-by
  read -r -a group <<<"$1"
  owner=''
  case $1 in
    iam* | scheduler*) field=description ;;
    # A deployment replaces the labels of a service, so its account is the mark.
    'run services') field=spec.template.spec.serviceAccountName ;;
    'run jobs') field=spec.template.spec.template.spec.serviceAccountName ;;
    # Lists the project's buckets: a bucket of this name in another project could be open to us.
    storage*)
      exists gcloud storage buckets list --project="$project" --filter="name=${2#gs://}" --format="value(name,$field)" || return
      [[ -n $output ]] || return
      owner=${output#*$'\t'}
      # gcloud creates a bucket without labels. Until it has one, the mark of the build account counts, which is created before.
      [[ -n $owner ]] || find_owner 'iam service-accounts' "$builder" || true
      return 0
      ;;
  esac
  exists gcloud "${group[@]}" describe "${@:2}" --project="$project" --format="value($field)" || return
  owner=$output
}

is_ours() { # whether $owner is a mark of this service
  [[ $owner == "$service" || $owner == "$description" || $owner == "$runtime" || $owner == "$migrator" ]]
}

# check_owner TITLE GROUP NAME [OPTION...]: adds the resource to $foreign if it exists without the mark
check_owner() {
  find_owner "${@:2}" || return 0
  is_ours || foreign="$foreign, the $1 $3 of ${owner:-an unknown owner}"
}
