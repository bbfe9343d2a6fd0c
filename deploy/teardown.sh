#!/usr/bin/env bash
# Removes a service and everything that bootstrap.sh created for it. Idempotent: rerun it after an interruption.
# Runs on bash 3.2.
# shellcheck source=deploy/lib/gcloud.sh
. "$(dirname "$0")/lib/gcloud.sh"

usage() {
  cat <<'TEXT'
Usage: deploy/teardown.sh --project ID --region REGION (--service NAME | --repo OWNER/NAME [--environment NAME]) [OPTION...]
  --yes      skips the confirmation
  --dry-run  prints the commands that would remove something, and runs none of them
TEXT
}

yes=''

parse_options 'yes dry-run' 'project region repo service environment' "$@"

confirm() {
  cat <<TEXT
Permanently removes from $project ($region):
  the service $service and the job $job
  the registry $repository with all images
  the secrets $runtime_secret and $migrator_secret with all versions
  the accounts ${deployer%@*}, ${runtime%@*}, ${migrator%@*}, ${builder%@*}, with their grants
  the sign-in from GitHub: the pool $pool
  the buckets $build_bucket and $build_log_bucket
TEXT
  [[ -z $yes && -z $dry_run ]] || return 0
  [[ -t 0 ]] || fail 'There is no terminal to confirm this. Add --yes.'
  local answer
  read -r -p "Type the service's name to continue: " answer
  [[ $answer == "$service" ]] || fail "'$answer' is not $service. Nothing was removed."
}

# First, so that no deployment starts in the meantime.
remove_pool() {
  if exists gcloud iam workload-identity-pools describe "$pool" --location=global --project="$project" --format='value(state)' && [[ $output != DELETED ]]; then
    run gcloud iam workload-identity-pools delete "$pool" --location=global --project="$project"
    log "pool $pool"
  fi
}

# remove TITLE GROUP NAME [OPTION...]: deletes a resource if it exists
remove() {
  local title=$1 group
  read -r -a group <<<"$2"
  exists gcloud "${group[@]}" describe "${@:3}" --project="$project" || return 0
  run gcloud "${group[@]}" delete "${@:3}" --project="$project"
  log "$title"
}

remove_buckets() {
  local bucket
  for bucket in "$build_bucket" "$build_log_bucket"; do
    if exists gcloud storage buckets list --project="$project" --filter="name=$bucket" --format='value(name)' && [[ -n $output ]]; then
      run gcloud storage rm "gs://$bucket" --recursive
      log "bucket $bucket"
    fi
  done
}

remove_accounts() {
  local name
  for name in deployer runtime migrator builder; do
    exists gcloud iam service-accounts describe "${!name}" --project="$project" || continue
    remove_project_grants "$name"
    run gcloud iam service-accounts delete "${!name}" --project="$project"
    log "account ${!name%@*}"
  done
}

# The project's policy would keep them for "deleted:serviceAccount:...".
remove_project_grants() { # remove_project_grants PRINCIPAL
  local principal role resource
  while read -r -u 3 _ principal role resource _; do
    [[ $principal == "$1" && ($resource == project || $resource == cloud_sql) ]] || continue
    if exists gcloud projects get-iam-policy "$project" --flatten='bindings[].members' \
      --filter="bindings.role=$role AND bindings.members=serviceAccount:${!principal}" --format='value(bindings.role)' && [[ -n $output ]]; then
      run gcloud projects remove-iam-policy-binding "$project" --role="$role" --member="serviceAccount:${!principal}" --all
    fi
  done 3< <(rows grants.txt)
}

[[ -n $project && -n $region && -n $service$repo ]] || fail '--project, --region and --service (or --repo) are required. --help lists the options.'
set_names
check_gcloud
confirm
echo 'Removes:'
remove_pool
remove "service $service" 'run services' "$service" --region="$region"
remove "job $job" 'run jobs' "$job" --region="$region"
remove "registry $repository" 'artifacts repositories' "$repository" --location="$region"
remove "secret $runtime_secret" secrets "$runtime_secret"
remove "secret $migrator_secret" secrets "$migrator_secret"
remove_buckets
remove_accounts
if [[ -n $dry_run ]]; then
  echo 'Nothing was removed.'
  exit
fi
cat <<TEXT
Done. These remain:
  a Cloud SQL instance, with the data and the roles of deploy/database-roles.sql. It costs money until you delete it:
    gcloud sql instances delete INSTANCE --project=$project
  the APIs, which are free, and the logs until their retention ends
  the name $pool, which Google reserves for 30 days; deploy/bootstrap.sh restores the pool
  the repository variables in GitHub: gh variable delete NAME
TEXT
