#!/usr/bin/env bash
# Creates the resources of the pipeline in a Google Cloud project: run it once. It is idempotent and keeps existing resources:
# rerun it after an interruption. It creates no key: GitHub Actions authenticates with Workload Identity Federation. Runs on
# bash 3.2, the version of macOS.
# shellcheck source=deploy/lib/gcloud.sh
. "$(dirname "$0")/lib/gcloud.sh"
# shellcheck source=deploy/lib/database.sh
. "$(dirname "$0")/lib/database.sh"
# shellcheck source=deploy/lib/rehearse.sh
. "$(dirname "$0")/lib/rehearse.sh"

usage() {
  cat <<'TEXT'
Usage: deploy/bootstrap.sh [OPTION...]
  --project ID                default: gcloud config get project
  --region REGION             default: gcloud config get run/region
  --repo OWNER/NAME           default: the GitHub repository of this folder, read with gh
  --service NAME              default: the repository's name, with -ENVIRONMENT appended unless that is production
  --environment NAME          default: production. Prefixes the repository variables of any other environment
  --create-database           creates a Cloud SQL instance with the database, its two roles and their passwords. Includes --set-vars
  --tier TIER                 machine type of the new instance, default: db-custom-1-3840; small: the cheapest sufficient one
  --yes                       creates the instance without asking
  --rotate-passwords          replaces the passwords of a database that --create-database created, without an outage
  --cloud-sql INSTANCE        the Cloud SQL instance that has the database; with --create-database its name, default: SERVICE
  --database-url-file FILE    contains the service's database URL; default: a prompt
  --migrator-url-file FILE    contains the migrations' database URL; default: a prompt
  --private                   only identities with run.invoker may call the service; default: public
  --with-cloud-build          also creates the resources of the builder cloud-build of the Deploy workflow
  --github-environment NAME   accepts only jobs of this GitHub environment
  --repo-id ID --owner-id ID  the numeric ids of the GitHub repository and its owner; default: read with gh
  --set-vars                  sets the repository variables with gh; default: prints them
  --adopt                     takes over existing resources that another service or person manages
  --rehearse                  at the end, validates a deployment as its account, without a change
  --dry-run                   prints the commands that would change something, and runs none of them

Exit codes: 0 on success, 1 after a failure. Rerun the command after you fix it.
TEXT
}

create_database='' rotate_passwords='' rehearse='' tier='' yes='' adopt=''
connection='' private='' set_vars='' database_url_file='' migrator_url_file='' repo_id='' owner_id=''

parse_options 'create-database rotate-passwords yes private with-cloud-build set-vars adopt rehearse dry-run' \
  'project region repo service environment tier cloud-sql database-url-file migrator-url-file github-environment repo-id owner-id' "$@"

# ── Checks, before anything is changed ───────────────────────────────────────────────────────────────────────────────

set_defaults() {
  [[ -n $project ]] || ! attempt gcloud config get project || project=$output
  [[ -n $region ]] || ! attempt gcloud config get run/region || region=$output
  [[ -n $repo ]] || ! attempt gh repo view --json nameWithOwner --jq .nameWithOwner || repo=$output
}

check_options() {
  [[ -n $project && -n $region && -n $repo ]] || fail '--project, --region and --repo are required. --help lists the options.'
  validate --repo "$repo" '^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$' 'OWNER/NAME'
  set_names
  [[ -z $github_environment ]] || validate --github-environment "$github_environment" '^[A-Za-z0-9._-]+$' 'letters, digits, ".", "_" and "-"'
  # Both check the instance and its roles.
  [[ -z $rotate_passwords ]] || create_database=yes
  if [[ -n $create_database ]]; then
    tier=${tier:-$DEFAULT_TIER}
    database=${service//-/_}
    validate --tier "$tier" '^(small|db-f1-micro|db-g1-small|db-custom-[0-9]+-[0-9]+)$' 'small, db-f1-micro, db-g1-small or db-custom-CPU-MEMORY'
    [[ -z $database_url_file$migrator_url_file ]] || fail '--create-database generates the URLs. Leave out the URL files.'
    # --repo-id and --owner-id are for a machine without gh.
    [[ -n $repo_id ]] || set_vars=yes
  else
    [[ -z $tier ]] || fail '--tier needs --create-database.'
  fi
  # A label has the name of the instance.
  [[ -z $cloud_sql ]] || validate --cloud-sql "$cloud_sql" '^[a-z][a-z0-9-]{0,62}$' 'the name of an instance'
}

check_billing() {
  # Without permission to read this, the first API that needs billing reports it.
  attempt gcloud billing projects describe "$project" --format='value(billingEnabled)' || return 0
  [[ $output != False ]] ||
    fail "The project $project has no billing account. Run: gcloud billing projects link $project --billing-account=ID (gcloud billing accounts list prints the ids)."
}

# Organization policies that would end a later step. Without permission to read them, that step reports it.
check_policies() {
  local read=(gcloud resource-manager org-policies describe --project="$project" --effective --format='value(listPolicy.allValues,listPolicy.allowedValues)') issuer
  issuer=$(rows wif-provider.txt | sed -n 's/^--issuer-uri=//p')
  if attempt "${read[@]}" iam.workloadIdentityPoolProviders && [[ $output =~ [a-zA-Z] && $output != *ALLOW* && $output != *"$issuer"* ]]; then
    fail "The organization policy iam.workloadIdentityPoolProviders forbids $issuer. Ask the organization's administrator to permit it."
  fi
  # A group of locations, such as in:eu-locations, can contain the region.
  if attempt "${read[@]}" gcp.resourceLocations && [[ $output =~ [a-zA-Z] && $output != *ALLOW* && $output != *"$region"* && $output != *in:* ]]; then
    fail "The organization policy gcp.resourceLocations forbids $region. Choose a permitted --region."
  fi
}

find_repository_ids() {
  if [[ -z $repo_id || -z $owner_id ]]; then
    command -v gh >/dev/null || fail 'gh is not installed. Pass --repo-id and --owner-id: docs/deployment/recipes.md explains where to find them.'
    attempt gh api "repos/$repo" --jq '"\(.id) \(.owner.id)"' ||
      fail "gh cannot read $repo. Run gh auth login, or pass --repo-id and --owner-id. $(error_message)"
    repo_id=${output% *}
    owner_id=${output#* }
  fi
  validate --repo-id "$repo_id" '^[0-9]+$' 'a number'
  validate --owner-id "$owner_id" '^[0-9]+$' 'a number'
  [[ -z $set_vars ]] || attempt gh variable list --repo "$repo" || fail "--set-vars needs gh, signed in as an administrator of $repo. $(error_message)"
}

check_owners() {
  for_each_resource check_owner
  local trusted
  if exists gcloud iam workload-identity-pools providers describe "$provider" --workload-identity-pool="$pool" --location=global \
    --project="$project" --format='value(attributeCondition)'; then
    [[ ! $output =~ repository_id==\'([0-9]+)\' ]] || trusted=${BASH_REMATCH[1]}
    [[ ${trusted:-$repo_id} == "$repo_id" ]] || foreign="$foreign, the provider $provider of the repository $trusted instead of $repo_id"
    # A rerun does not open the provider as a side effect.
    [[ -n $github_environment || ! $output =~ assertion\.environment==\'([^\']+)\' ]] || github_environment=${BASH_REMATCH[1]}
  fi
}

reject_foreign() {
  [[ -z $foreign || -n $adopt ]] ||
    fail "Not created by deploy/bootstrap.sh for $service: ${foreign#, }. Choose another --service, or rerun with --adopt to take over."
}

# A rerun does not close a public service as a side effect.
check_access() {
  [[ -n $private ]] || return 0
  exists gcloud run services describe "$service" --region="$region" --project="$project" \
    --format='value(metadata.annotations["run.googleapis.com/invoker-iam-disabled"])' || return 0
  [[ $output != [Tt]rue ]] ||
    fail "$service is public. Close it first: gcloud run services update $service --invoker-iam-check --region=$region --project=$project"
}

# ── Steps: resources ─────────────────────────────────────────────────────────────────────────────────────────────────

enable_apis() {
  log_step 'APIs: those of deploy/apis.txt'
  local option api missing=()
  attempt gcloud services list --enabled --project="$project" --format='value(config.name)' || fail "$(error_message)"
  while read -r -u 3 option api _; do
    applies "$option" || continue
    grep -qx "$api.googleapis.com" <<<"$output" || missing+=("$api.googleapis.com")
  done 3< <(rows apis.txt)
  if [[ ${#missing[@]} -eq 0 ]]; then
    log 'all enabled'
  else
    run gcloud services enable "${missing[@]}" --project="$project"
  fi
}

create_registry() {
  log_step "Registry: $repository, for the images"
  create 'artifacts repositories' "$repository" --location="$region" -- \
    --repository-format=docker --description="Images of $service" --labels="managed-by=$service"
}

# "keep" overrides "delete". Immutable tags would prevent both this and moving the tags serving- and previous-.
set_cleanup_policy() {
  log_step 'Registry: keeps the newest 20 images and those of the deployed and the previous revision'
  run gcloud artifacts repositories set-cleanup-policies "$repository" --location="$region" --project="$project" \
    --policy="$(dirname "$0")/cleanup-policy.json" --no-dry-run
}

create_accounts() {
  log_step 'Accounts: one each for deployments, the service and its migrations'
  create_account "$deployer" "Deploys $service from GitHub"
  create_account "$runtime" "$service"
  create_account "$migrator" "Migrations of $service"
  [[ -z $(own_jobs) ]] || create_account "$scheduler" "Schedules of $service"
}

# A dedicated pool: no other service's provider can issue this repository's identity in it.
create_pool() {
  log_step 'Sign-in: a workload identity pool for GitHub Actions'
  if ! exists gcloud iam workload-identity-pools describe "$pool" --location=global --project="$project" --format='value(state)'; then
    run gcloud iam workload-identity-pools create "$pool" --location=global --project="$project" \
      --display-name='GitHub Actions' --description="$description"
  elif [[ $output == DELETED ]]; then
    # A deleted pool keeps its name for 30 days and can be restored.
    run gcloud iam workload-identity-pools undelete "$pool" --location=global --project="$project"
  else
    log 'exists'
  fi
}

create_provider() {
  log_step "Sign-in: accepts Deploy and Rollback of $repo, on main, started by a person${github_environment:+, in the environment $github_environment}"
  local options=() option condition location=(--workload-identity-pool="$pool" --location=global --project="$project")
  while read -r option; do
    option=${option//REPO_ID/$repo_id}
    options+=("${option//OWNER_ID/$owner_id}")
  done < <(rows wif-provider.txt)
  # The condition is the last option.
  [[ -z $github_environment ]] || options[${#options[@]} - 1]+=" && assertion.environment=='$github_environment'"
  condition=${options[${#options[@]} - 1]#--attribute-condition=}
  if ! exists gcloud iam workload-identity-pools providers describe "$provider" "${location[@]}" --format='value(state)'; then
    run gcloud iam workload-identity-pools providers create-oidc "$provider" "${location[@]}" --description="$description" "${options[@]}"
    return
  fi
  [[ $output != DELETED ]] || run gcloud iam workload-identity-pools providers undelete "$provider" "${location[@]}"
  attempt gcloud iam workload-identity-pools providers describe "$provider" "${location[@]}" --format='value(attributeCondition)' || fail "$(error_message)"
  if [[ $output == "$condition" ]]; then
    log 'exists'
  else
    log "replaces the condition: $output"
    run gcloud iam workload-identity-pools providers update-oidc "$provider" "${location[@]}" "${options[@]}"
  fi
}

create_secrets() {
  log_step 'Secrets: the two database URLs, and those of deploy/settings.txt'
  local name
  for name in "$runtime_secret" "$migrator_secret" $(own_secrets); do create_secret "$name"; done
}

# The pipeline therefore needs no permission to create a service, and a person decides who may call it:
# https://cloud.google.com/run/docs/authenticating/public
create_service() {
  local access=(--no-invoker-iam-check) callers='all callers'
  if [[ -n $private ]]; then
    access=(--invoker-iam-check --no-allow-unauthenticated)
    callers='identities with run.invoker'
  fi
  log_step "Service: $service, open to $callers; runs Google's sample until the first deployment"
  # Without a ready revision, an earlier run was interrupted.
  if exists gcloud run services describe "$service" --region="$region" --project="$project" \
    --format='value(status.latestReadyRevisionName)' && [[ -n $output ]]; then
    log 'exists; its access is unchanged'
  else
    run gcloud run deploy "$service" --region="$region" --project="$project" \
      --image=us-docker.pkg.dev/cloudrun/container/hello --service-account="$runtime" --max-instances=1 "${access[@]}"
  fi
}

create_job() {
  log_step "Job: $job, for migrations; runs Google's sample until the first deployment"
  create 'run jobs' "$job" --region="$region" -- \
    --image=us-docker.pkg.dev/cloudrun/container/job --service-account="$migrator"
}

create_own_jobs() {
  log_step 'Jobs: those of deploy/jobs/, with the same sample'
  local name
  for name in $(own_jobs); do
    create 'run jobs' "$name" --region="$region" -- \
      --image=us-docker.pkg.dev/cloudrun/container/job --service-account="$runtime"
  done
}

# Only owners and viewers of the project can read Google's default log bucket. A retention policy would prevent a log
# from growing.
create_build() {
  log_step 'Cloud Build: an account for builds, a bucket for sources and one for logs'
  create_account "$builder" "Builds of $service"
  create_bucket "$build_bucket"
  create_bucket "$build_log_bucket"
}

# ── Steps: permissions, secrets, repository variables ────────────────────────────────────────────────────────────────

create_grants() {
  log_step 'Grants: the roles of deploy/grants.txt'
  local option principal role resource failure
  while read -r -u 3 option principal role resource failure; do
    applies "$option" || continue
    [[ $resource != own_secrets || -n $(own_secrets) ]] || continue
    log "$principal: ${role#roles/} on $resource, for ${failure%%:*}"
    grant "$principal" "$role" "$resource"
  done 3< <(rows grants.txt)
}

# Cloud Scheduler calls the API of Cloud Run as a dedicated account: https://cloud.google.com/run/docs/execute/jobs-on-schedule
create_schedules() {
  log_step 'Schedules: the lines of deploy/schedules.txt'
  local name zone schedule entry verb
  while read -r -u 3 name zone schedule; do
    entry=("$service-$name" --location="$region" --project="$project")
    verb=create
    if exists gcloud scheduler jobs describe "${entry[@]}" --format='value(timeZone,schedule,description)'; then
      verb=update
      [[ $output != "$zone"$'\t'"$schedule"$'\t'"$description" ]] || verb=''
    fi
    log "$name: $schedule $zone${verb:+, ${verb}d}"
    [[ -z $verb ]] || run gcloud scheduler jobs "$verb" http "${entry[@]}" --schedule="$schedule" --time-zone="$zone" --http-method=post \
      --uri="https://run.googleapis.com/v2/projects/$project/locations/$region/jobs/$service-$name:run" \
      --oauth-service-account-email="$scheduler" --description="$description"
  done 3< <(schedules "$environment")
}

check_own_secrets() {
  log_step 'Secrets: the values of deploy/settings.txt'
  local name
  for name in $(own_secrets); do add_version "$name" ''; done
}

publish_variables() {
  # shellcheck disable=SC2034 # variables.txt names it
  local wif_provider=projects/$project_number/locations/global/workloadIdentityPools/$pool/providers/$provider
  local option name value prefix=''
  [[ $environment == production ]] || prefix=$(tr '[:lower:]' '[:upper:]' <<<"$environment")_
  log_step "GitHub: the variables of https://github.com/$repo/settings/variables/actions${set_vars:+, set with gh}"
  while read -r -u 3 option name value; do
    applies "$option" || continue
    if [[ -n $set_vars ]]; then
      run gh variable set "$prefix$name" --body "${!value}" --repo "$repo"
    else
      log "$prefix$name=${!value}"
    fi
  done 3< <(rows variables.txt)
}

adopt_resources() {
  log_step 'Ownership: marks the adopted resources'
  for_each_resource adopt_resource
}

# ── Helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

log_step() { # log_step TITLE
  echo "($number/${#steps[@]}) $1"
}

# create GROUP NAME [OPTION...] -- OPTION...: creates a resource unless it exists; gcloud describe gets the first options
create() {
  local group resource=()
  read -r -a group <<<"$1"
  while shift && [[ $1 != -- ]]; do resource+=("$1"); done
  if exists gcloud "${group[@]}" describe "${resource[@]}" --project="$project"; then
    log "${resource[0]} exists"
  else
    run gcloud "${group[@]}" create "${resource[@]}" --project="$project" "${@:2}"
  fi
}

create_account() { # create_account EMAIL NAME
  if exists gcloud iam service-accounts describe "$1" --project="$project"; then
    log "${1%@*} exists"
  else
    run gcloud iam service-accounts create "${1%@*}" --project="$project" --display-name="$2" --description="$description"
  fi
}

# In the region of the service: an organization policy for locations (gcp.resourceLocations) rejects automatic replication.
create_secret() { # create_secret NAME
  create secrets "$1" -- --replication-policy=user-managed --locations="$region" --labels="managed-by=$service"
}

create_bucket() { # create_bucket NAME
  if find_owner 'storage buckets' "gs://$1"; then
    log "$1 exists"
  else
    run gcloud storage buckets create "gs://$1" --project="$project" --location="$region" \
      --uniform-bucket-level-access --public-access-prevention --lifecycle-file="$(dirname "$0")/bucket-lifecycle.json"
  fi
  [[ $owner == "$service" ]] || run gcloud storage buckets update "gs://$1" --project="$project" --update-labels="managed-by=$service"
}

grant() { # grant PRINCIPAL ROLE RESOURCE, as in grants.txt
  local member=serviceAccount:${!1} binding condition name
  [[ $1 != workflow ]] || member=$workflow
  binding=(--role="$2" --member="$member")
  case $3 in
    project) run gcloud projects add-iam-policy-binding "$project" "${binding[@]}" --condition=None ;;
    cloud_sql)
      condition="expression=resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/$project/instances/$cloud_sql',title=$cloud_sql"
      run gcloud projects add-iam-policy-binding "$project" "${binding[@]}" --condition="$condition"
      ;;
    deployer | runtime | migrator | scheduler | builder) run gcloud iam service-accounts add-iam-policy-binding "${!3}" --project="$project" "${binding[@]}" ;;
    repository) run gcloud artifacts repositories add-iam-policy-binding "$repository" --location="$region" --project="$project" "${binding[@]}" ;;
    service) run gcloud run services add-iam-policy-binding "$service" --region="$region" --project="$project" "${binding[@]}" ;;
    job) run gcloud run jobs add-iam-policy-binding "$job" --region="$region" --project="$project" "${binding[@]}" ;;
    own_jobs) for name in $(own_jobs); do run gcloud run jobs add-iam-policy-binding "$name" --region="$region" --project="$project" "${binding[@]}"; done ;;
    own_secrets) for name in $(own_secrets); do run gcloud secrets add-iam-policy-binding "$name" --project="$project" "${binding[@]}"; done ;;
    *_secret) run gcloud secrets add-iam-policy-binding "${!3}" --project="$project" "${binding[@]}" ;;
    *_bucket) run gcloud storage buckets add-iam-policy-binding "gs://${!3}" "${binding[@]}" ;;
    *) fail "deploy/grants.txt has a grant on $3, which bootstrap.sh does not create." ;;
  esac
}

adopt_resource() { # adopt_resource TITLE GROUP NAME [OPTION...]: sets the mark, unless the resource has it
  local group verb=update mark="--update-labels=managed-by=$service"
  find_owner "${@:2}" || return 0
  ! is_ours || return 0
  read -r -a group <<<"$2"
  case $2 in
    run* | scheduler*) return 0 ;; # the next deployment and create_schedules set it
    *providers) verb=update-oidc ;;
  esac
  [[ $2 != iam* ]] || mark="--description=$description"
  run gcloud "${group[@]}" "$verb" "${@:3}" --project="$project" "$mark"
  log "the $1 $3"
}

# ── Main ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

check_gcloud_version "$MIN_GCLOUD_VERSION"
set_defaults
check_options
[[ -z $create_database ]] || check_gcloud_version "$MIN_GCLOUD_VERSION_POSTGRES_18"
[[ -z $rehearse ]] || check_tools
check_access_to_project
check_billing
check_policies
find_repository_ids
# Every run of this repository that the provider accepts.
workflow=principalSet://iam.googleapis.com/projects/$project_number/locations/global/workloadIdentityPools/$pool/attribute.repository_id/$repo_id
check_owners
find_created_instance
if [[ -n $create_database ]]; then
  check_new_database
elif [[ -n $cloud_sql ]]; then
  check_cloud_sql
fi
reject_foreign
check_access
[[ -z $rotate_passwords ]] || check_rotation
[[ -n $create_database ]] || read_urls

steps=(enable_apis create_secrets)
[[ -z $create_database ]] || steps+=(create_instance)
steps+=(create_registry set_cleanup_policy create_accounts create_pool create_provider create_service create_job)
[[ -z $(own_jobs) ]] || steps+=(create_own_jobs)
[[ -z $with_cloud_build ]] || steps+=(create_build)
steps+=(create_grants)
[[ -z $(own_schedules) ]] || steps+=(create_schedules)
if [[ -n $create_database ]]; then steps+=(create_database_roles); else steps+=(add_database_urls); fi
[[ -z $(own_secrets) ]] || steps+=(check_own_secrets)
steps+=(publish_variables)
[[ -z $adopt ]] || steps+=(adopt_resources)
[[ -z $rehearse ]] || steps+=(rehearse)

echo "Prepares $project ($region) to deploy $service from $repo to $environment."
[[ -z $create_database || -n $has_instance ]] || confirm_costs
[[ -n $dry_run ]] || wait_for_propagation=yes
number=0
for step in "${steps[@]}"; do
  number=$((number + 1))
  "$step"
done
if [[ -n $dry_run ]]; then
  echo 'Nothing was changed.'
else
  [[ -z $empty_secrets ]] || echo "Add a value to these secrets before the next deployment:$empty_secrets"
  [[ -z $rotate_passwords ]] || echo 'The new passwords take effect with the next deployment. Until then, the deployed ones remain valid.'
  echo 'Done. Next: npm run deploy -- --watch. DEPLOYMENT.md lists the costs; deploy/teardown.sh removes what this script created.'
fi
