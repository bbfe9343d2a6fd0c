#!/usr/bin/env bash
# Removes what bootstrap.sh has made for a service, and the service with it. What is gone already is passed over, so it
# can be run again. For bash 3.2.
# shellcheck source=deploy/cloud.sh
. "$(dirname "$0")/cloud.sh"

usage() {
  cat <<'TEXT'
Usage: deploy/teardown.sh --project ID --region REGION (--service NAME | --repo OWNER/NAME [--environment NAME]) [OPTION...]
  --yes      does not ask
  --dry-run  prints the commands that would remove something, and runs none of them
TEXT
}

yes=''

while [[ $# -gt 0 ]]; do
  case $1 in
    --yes) yes=yes ;;
    --dry-run) dry_run=yes ;;
    --help)
      usage
      exit
      ;;
    --project | --region | --repo | --service | --environment)
      [[ -n ${2:-} && $2 != --* ]] || fail "$1 needs a value."
      case $1 in
        --project) project=$2 ;;
        --region) region=$2 ;;
        --repo) repo=$2 ;;
        --service) service=$2 ;;
        --environment) environment=$2 ;;
      esac
      shift
      ;;
    *) fail "There is no option ${1%%=*}. --help lists them; a value stands behind its option, after a space." ;;
  esac
  shift
done

confirm() {
  cat <<TEXT
Removes from $project ($region), for good:
  the service $service and the job $job
  the registry $repository with all images
  the secrets $runtime_secret and $migrator_secret with all versions
  the accounts ${deployer%@*}, ${runtime%@*}, ${migrator%@*}, ${builder%@*}, with what they may do
  the sign-in of GitHub: the pool $pool
  the buckets $build_bucket and $build_log_bucket
TEXT
  [[ -z $yes && -z $dry_run ]] || return 0
  [[ -t 0 ]] || fail 'Nobody is there to confirm this. Add --yes.'
  local answer
  read -r -p "Type the service's name to go on: " answer
  [[ $answer == "$service" ]] || fail "'$answer' is not $service. Nothing was removed."
}

# First, so that no deployment begins meanwhile.
remove_sign_in() {
  if exists gcloud iam workload-identity-pools describe "$pool" --location=global --project="$project" --format='value(state)' && [[ $output != DELETED ]]; then
    change gcloud iam workload-identity-pools delete "$pool" --location=global --project="$project"
    said "pool $pool"
  fi
}

remove_run() {
  if exists gcloud run services describe "$service" --region="$region" --project="$project"; then
    change gcloud run services delete "$service" --region="$region" --project="$project"
    said "service $service"
  fi
  if exists gcloud run jobs describe "$job" --region="$region" --project="$project"; then
    change gcloud run jobs delete "$job" --region="$region" --project="$project"
    said "job $job"
  fi
}

remove_repository() {
  if exists gcloud artifacts repositories describe "$repository" --location="$region" --project="$project"; then
    change gcloud artifacts repositories delete "$repository" --location="$region" --project="$project"
    said "registry $repository"
  fi
}

remove_secrets() {
  local secret
  for secret in "$runtime_secret" "$migrator_secret"; do
    if exists gcloud secrets describe "$secret" --project="$project"; then
      change gcloud secrets delete "$secret" --project="$project"
      said "secret $secret"
    fi
  done
}

remove_buckets() {
  local bucket
  for bucket in "$build_bucket" "$build_log_bucket"; do
    if exists gcloud storage buckets list --project="$project" --filter="name=$bucket" --format='value(name)' && [[ -n $output ]]; then
      change gcloud storage rm "gs://$bucket" --recursive
      said "bucket $bucket"
    fi
  done
}

remove_accounts() {
  local name
  for name in deployer runtime migrator builder; do
    if exists gcloud iam service-accounts describe "${!name}" --project="$project"; then
      remove_project_grants "$name"
      change gcloud iam service-accounts delete "${!name}" --project="$project"
      said "account ${!name%@*}"
    fi
  done
}

# They outlive the account, and would show as those of "deleted:serviceAccount:…".
remove_project_grants() { # remove_project_grants WHO
  local who role on
  while read -r -u 3 _ who role on _; do
    [[ $who == "$1" ]] || continue
    case $on in project | cloud_sql) ;; *) continue ;; esac
    if exists gcloud projects get-iam-policy "$project" --flatten='bindings[].members' \
      --filter="bindings.role=$role AND bindings.members=serviceAccount:${!who}" --format='value(bindings.role)' && [[ -n $output ]]; then
      change gcloud projects remove-iam-policy-binding "$project" --role="$role" --member="serviceAccount:${!who}" --all
    fi
  done 3<"$(dirname "$0")/grants.txt"
}

[[ -n $project && -n $region && -n $service$repo ]] || fail '--project, --region and --service (or --repo) are needed. --help lists all options.'
name_everything
check_gcloud
confirm
echo 'Goes:'
remove_sign_in
remove_run
remove_repository
remove_secrets
remove_buckets
remove_accounts
if [[ -n $dry_run ]]; then
  echo 'Nothing was removed.'
  exit
fi
cat <<TEXT
Done. What stays:
  a Cloud SQL instance, with the data and the roles of deploy/database-roles.sql. It costs money until it is deleted:
    gcloud sql instances delete INSTANCE --project=$project
  the APIs, which cost nothing, and the logs, until their retention ends
  the name $pool, which Google keeps for 30 days; deploy/bootstrap.sh revives it
  the repository variables in GitHub, which the Deploy workflow then fails with: gh variable delete NAME
TEXT
