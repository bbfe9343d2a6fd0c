#!/usr/bin/env bash
# Removes a service and everything that bootstrap.sh created for it. Idempotent: rerun it after an interruption.
# Runs on bash 3.2.
# shellcheck source=deploy/lib/gcloud.sh
. "$(dirname "$0")/lib/gcloud.sh"

usage() {
  cat <<'TEXT'
Usage: deploy/teardown.sh --project ID --region REGION (--service NAME | --repo OWNER/NAME [--environment NAME]) [OPTION...]
  --delete-database  also deletes the Cloud SQL instance of bootstrap.sh --create-database, with its data and backups
  --adopt            also removes resources of these names that another service or person manages
  --yes              skips the confirmation
  --dry-run          prints the commands that would remove something, and runs none of them

Exit codes: 0 on success, 1 after a failure. Rerun the command after you fix it.
TEXT
}

yes='' adopt='' delete_database=''

parse_options 'delete-database adopt yes dry-run' 'project region repo service environment' "$@"

check_owners() {
  for_each_resource check_owner
  [[ -z $foreign || -n $adopt ]] ||
    fail "Not created by deploy/bootstrap.sh for $service: ${foreign#, }. Nothing was removed. To remove these too, rerun with --adopt."
}

# The label is the mark of the instance.
find_instance() {
  exists gcloud secrets describe "$runtime_secret" --project="$project" --format='value(labels.cloud-sql-instance)' || return 0
  cloud_sql=$output
  [[ -n $cloud_sql || -z $delete_database ]] || fail "deploy/bootstrap.sh created no Cloud SQL instance for $service. Leave out --delete-database."
}

confirm() {
  cat <<TEXT
Permanently removes from $project ($region):
  the service $service and the job $job, with the jobs of deploy/jobs/ and their schedules
  the registry $repository with all images
  the secrets $runtime_secret, $migrator_secret and those of deploy/settings.txt, with all versions
  the accounts ${deployer%@*}, ${runtime%@*}, ${migrator%@*}, ${scheduler%@*}, ${builder%@*}, with their grants
  the sign-in from GitHub: the pool $pool
  the buckets $build_bucket and $build_log_bucket
  the dashboard, alerts and other resources of deploy/observability.sh
TEXT
  [[ -z $delete_database ]] || log "the Cloud SQL instance $cloud_sql with its databases and backups"
  [[ -z $yes && -z $dry_run ]] || return 0
  [[ -t 0 ]] || fail 'There is no terminal to confirm this. Add --yes.'
  local answer
  read -r -p "Type the service's name to continue: " answer
  [[ $answer == "$service" ]] || fail "'$answer' is not $service. Nothing was removed."
}

# Before the resources, so that no deployment starts in the meantime.
remove_pool() {
  if exists gcloud iam workload-identity-pools describe "$pool" --location=global --project="$project" --format='value(state)' && [[ $output != DELETED ]]; then
    run gcloud iam workload-identity-pools delete "$pool" --location=global --project="$project"
    log "removed the pool $pool"
  fi
}

remove_observability() {
  "$(dirname "$0")/observability.sh" --project "$project" --region "$region" --service "$service" --remove ${dry_run:+--dry-run}
}

remove_instance() {
  [[ -n $cloud_sql ]] && exists gcloud sql instances describe "$cloud_sql" --project="$project" || return 0
  run gcloud sql instances patch "$cloud_sql" --project="$project" --no-deletion-protection
  run gcloud sql instances delete "$cloud_sql" --project="$project"
  log "removed the Cloud SQL instance $cloud_sql"
}

remove_buckets() {
  local bucket
  for bucket in "$build_bucket" "$build_log_bucket"; do
    if exists gcloud storage buckets list --project="$project" --filter="name=$bucket" --format='value(name)' && [[ -n $output ]]; then
      run gcloud storage rm "gs://$bucket" --recursive
      log "removed the bucket $bucket"
    fi
  done
}

remove_accounts() {
  local name
  for name in deployer runtime migrator scheduler builder; do
    exists gcloud iam service-accounts describe "${!name}" --project="$project" || continue
    remove_project_grants "$name"
    run gcloud iam service-accounts delete "${!name}" --project="$project"
    log "removed the account ${!name%@*}"
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
with_cloud_build=yes # for_each_resource includes its resources
check_gcloud_version "$MIN_GCLOUD_VERSION"
check_access_to_project
check_owners
find_instance
confirm
remove_observability
remove_pool
remove "service $service" 'run services' "$service" --region="$region"
for schedule in $(own_schedules); do remove "schedule $schedule" 'scheduler jobs' "$schedule" --location="$region"; done
for own_job in $(own_jobs); do remove "job $own_job" 'run jobs' "$own_job" --region="$region"; done
remove "job $job" 'run jobs' "$job" --region="$region"
remove "job $roles_job" 'run jobs' "$roles_job" --region="$region"
[[ -z $delete_database ]] || remove_instance
remove "registry $repository" 'artifacts repositories' "$repository" --location="$region"
for secret in "$roles_secret" $(own_secrets) "$migrator_secret" "$runtime_secret"; do remove "secret $secret" secrets "$secret"; done
remove_buckets
remove_accounts
if [[ -n $dry_run ]]; then
  echo 'Nothing was removed.'
  exit
fi
echo 'Done. These remain:'
if [[ -n $delete_database ]]; then
  echo "  the name $cloud_sql, which Google reserves for a week"
else
  cat <<TEXT
  a Cloud SQL instance, with the data and the roles of deploy/database-roles.sql. It costs money until you delete it:
    gcloud sql instances patch ${cloud_sql:-INSTANCE} --no-deletion-protection --project=$project
    gcloud sql instances delete ${cloud_sql:-INSTANCE} --project=$project
TEXT
fi
cat <<TEXT
  the APIs, which are free, and the logs until their retention ends
  the name $pool, which Google reserves for 30 days; deploy/bootstrap.sh restores the pool
  the repository variables in GitHub: gh variable delete NAME
TEXT
