#!/usr/bin/env bash
# Creates what the pipeline needs in a Google Cloud project: run it once. It is idempotent and leaves existing resources as
# they are: rerun it after an interruption. It creates no key: GitHub Actions authenticates with Workload Identity
# Federation. Runs on bash 3.2, the version of macOS.
# shellcheck source=deploy/lib/gcloud.sh
. "$(dirname "$0")/lib/gcloud.sh"

usage() {
  cat <<'TEXT'
Usage: deploy/bootstrap.sh --project ID --region REGION --repo OWNER/NAME [OPTION...]
  --service NAME              default: the repository's name, with -ENVIRONMENT appended unless that is production
  --environment NAME          default: production. Prefixes the repository variables of any other environment
  --cloud-sql INSTANCE        the Cloud SQL instance of this project that has the database
  --private                   only identities with run.invoker may call the service; default: public
  --with-cloud-build          also creates what the builder cloud-build of the Deploy workflow needs
  --database-url-file FILE    contains the service's database URL; default: a prompt
  --migrator-url-file FILE    contains the migrations' database URL; default: a prompt
  --repo-id ID --owner-id ID  the numeric ids of the GitHub repository and its owner; default: read with gh
  --set-vars                  sets the repository variables with gh; default: prints them
  --dry-run                   prints the commands that would change something, and runs none of them
TEXT
}

connection='' private='' set_vars='' database_url_file='' migrator_url_file='' repo_id='' owner_id='' empty_secrets=''

parse_options 'private with-cloud-build set-vars dry-run' \
  'project region repo service environment cloud-sql database-url-file migrator-url-file repo-id owner-id' "$@"

# ── Checks, before anything is changed ───────────────────────────────────────────────────────────────────────────────

check_options() {
  [[ -n $project && -n $region && -n $repo ]] || fail '--project, --region and --repo are required. --help lists the options.'
  validate --repo "$repo" '^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$' 'OWNER/NAME'
  set_names
  [[ -z $cloud_sql ]] || validate --cloud-sql "$cloud_sql" '^[a-z][a-z0-9-]*$' 'the name of an instance'
  local file
  for file in "$database_url_file" "$migrator_url_file"; do
    [[ -z $file ]] || check_url "$(cat "$file" 2>/dev/null)" "The file $file"
  done
  [[ -z $database_url_file || -z $migrator_url_file ]] || check_urls "$(cat "$database_url_file")" "$(cat "$migrator_url_file")"
}

check_url() { # check_url URL SOURCE
  [[ $1 =~ ^postgres(ql)?://[^[:space:]]+$ ]] || fail "$2 has no database URL: postgresql://USER:PASSWORD@HOST/DATABASE"
}

# With one role for both, an attacker in the service could drop its tables.
check_urls() { # check_urls URL URL
  [[ $1 != "$2" ]] || fail 'Both database URLs are the same. Create a role for each: deploy/database-roles.sql'
}

check_billing() {
  # Without permission to read this, the first API that needs billing reports it.
  attempt gcloud billing projects describe "$project" --format='value(billingEnabled)' || return 0
  [[ $output != False ]] ||
    fail "The project $project has no billing account. Run: gcloud billing projects link $project --billing-account=ID (gcloud billing accounts list prints the ids)."
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

# The formula of test/repository/deploy.spec.ts: each instance's pool and its health check's connection, twice during a
# rollout, 2 for the migrations and 5 in reserve.
check_cloud_sql() {
  local manifest version tier flags allowed instances pool_size needed
  attempt gcloud sql instances describe "$cloud_sql" --project="$project" \
    --format='value[separator="|"](connectionName,databaseVersion,settings.tier,settings.databaseFlags)' ||
    fail "Cannot read the Cloud SQL instance $cloud_sql. $(error_message)"
  IFS='|' read -r connection version tier flags <<<"$output"
  [[ -n $version ]] || fail "This gcloud is older than the version of $cloud_sql. Run: gcloud components update"
  [[ $version == POSTGRES_* ]] || fail "$cloud_sql is $version. The service needs PostgreSQL."

  if [[ $flags =~ max_connections[^0-9]+([0-9]+) ]]; then
    allowed=${BASH_REMATCH[1]}
  else
    allowed=$(rows max-connections.txt | grep "^$tier " || rows max-connections.txt | grep '^default ')
    allowed=${allowed##* }
  fi
  manifest=$(dirname "$0")/service.yaml
  instances=$(sed -n "s|.*autoscaling.knative.dev/maxScale: '\([0-9]*\)'|\1|p" "$manifest")
  pool_size=$(sed -n '/name: DATABASE_POOL_MAX/{n;s/[^0-9]//g;p;}' "$manifest")
  needed=$(((${pool_size:-10} + 1) * instances * 2 + 2 + 5))
  [[ $needed -le $allowed ]] ||
    fail "$cloud_sql allows $allowed connections, and a rollout needs $needed. Raise its flag max_connections, or lower maxScale or DATABASE_POOL_MAX in deploy/service.yaml."
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
  log_step 'APIs: a workflow fails where a person would be asked to enable one'
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
    --repository-format=docker --description="Images of $service"
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
}

# A dedicated pool: no other service's provider can issue this repository's identity in it.
create_pool() {
  log_step 'Sign-in: a workload identity pool for GitHub Actions'
  if ! exists gcloud iam workload-identity-pools describe "$pool" --location=global --project="$project" --format='value(state)'; then
    run gcloud iam workload-identity-pools create "$pool" --location=global --project="$project" --display-name='GitHub Actions'
  elif [[ $output == DELETED ]]; then
    # A deleted pool keeps its name for 30 days and can be restored.
    run gcloud iam workload-identity-pools undelete "$pool" --location=global --project="$project"
  else
    log 'exists'
  fi
}

create_provider() {
  log_step "Sign-in: accepts Deploy and Rollback of $repo, on main, started by a person"
  local options=() option condition location=(--workload-identity-pool="$pool" --location=global --project="$project")
  while read -r option; do
    option=${option//REPO_ID/$repo_id}
    options+=("${option//OWNER_ID/$owner_id}")
  done < <(rows wif-provider.txt)
  condition=${options[${#options[@]} - 1]#--attribute-condition=}
  if ! exists gcloud iam workload-identity-pools providers describe "$provider" "${location[@]}" --format='value(state)'; then
    run gcloud iam workload-identity-pools providers create-oidc "$provider" "${location[@]}" "${options[@]}"
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
  log_step 'Secrets: the two database URLs'
  create secrets "$runtime_secret" -- --replication-policy=automatic
  create secrets "$migrator_secret" -- --replication-policy=automatic
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
  # A service that never had a ready revision was interrupted.
  if exists gcloud run services describe "$service" --region="$region" --project="$project" \
    --format='value(status.latestReadyRevisionName)' && [[ -n $output ]]; then
    log 'exists; its access stays as it is'
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
    log "$principal: ${role#roles/} on $resource, for ${failure%%:*}"
    grant "$principal" "$role" "$resource"
  done 3< <(rows grants.txt)
}

add_database_urls() {
  log_step 'Secrets: the values'
  local runtime_url migrator_url
  read_url "$runtime_secret" "$database_url_file" 'of the service'
  runtime_url=$url
  read_url "$migrator_secret" "$migrator_url_file" 'of its migrations'
  migrator_url=$url
  [[ -z $runtime_url ]] || check_urls "$runtime_url" "$migrator_url"
  add_version "$runtime_secret" "$runtime_url"
  add_version "$migrator_secret" "$migrator_url"
}

publish_variables() {
  # shellcheck disable=SC2034 # settings.txt names it
  local wif_provider=projects/$project_number/locations/global/workloadIdentityPools/$pool/providers/$provider
  local option name value prefix=''
  [[ $environment == production ]] || prefix=$(tr '[:lower:]-' '[:upper:]_' <<<"$environment")_
  log_step "GitHub: the variables of https://github.com/$repo/settings/variables/actions${set_vars:+, set with gh}"
  while read -r -u 3 option name value; do
    applies "$option" || continue
    if [[ -n $set_vars ]]; then
      run gh variable set "$prefix$name" --body "${!value}" --repo "$repo"
    else
      log "$prefix$name=${!value}"
    fi
  done 3< <(rows settings.txt)
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
    run gcloud iam service-accounts create "${1%@*}" --project="$project" --display-name="$2"
  fi
}


# Lists the project's buckets: a bucket of this name in another project could be open to us.
create_bucket() { # create_bucket NAME
  if exists gcloud storage buckets list --project="$project" --filter="name=$1" --format='value(name)' && [[ -n $output ]]; then
    log "$1 exists"
  else
    run gcloud storage buckets create "gs://$1" --project="$project" --location="$region" \
      --uniform-bucket-level-access --public-access-prevention --lifecycle-file="$(dirname "$0")/bucket-lifecycle.json"
  fi
}

grant() { # grant PRINCIPAL ROLE RESOURCE, as in grants.txt
  local member=serviceAccount:${!1} binding condition
  [[ $1 != workflow ]] || member=$workflow
  binding=(--role="$2" --member="$member")
  case $3 in
    project) run gcloud projects add-iam-policy-binding "$project" "${binding[@]}" --condition=None ;;
    cloud_sql)
      condition="expression=resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/$project/instances/$cloud_sql',title=$cloud_sql"
      run gcloud projects add-iam-policy-binding "$project" "${binding[@]}" --condition="$condition"
      ;;
    deployer | runtime | migrator | builder) run gcloud iam service-accounts add-iam-policy-binding "${!3}" --project="$project" "${binding[@]}" ;;
    repository) run gcloud artifacts repositories add-iam-policy-binding "$repository" --location="$region" --project="$project" "${binding[@]}" ;;
    service) run gcloud run services add-iam-policy-binding "$service" --region="$region" --project="$project" "${binding[@]}" ;;
    job) run gcloud run jobs add-iam-policy-binding "$job" --region="$region" --project="$project" "${binding[@]}" ;;
    *_secret) run gcloud secrets add-iam-policy-binding "${!3}" --project="$project" "${binding[@]}" ;;
    *_bucket) run gcloud storage buckets add-iam-policy-binding "gs://${!3}" "${binding[@]}" ;;
    *) fail "deploy/grants.txt has a grant on $3, which bootstrap.sh does not create." ;;
  esac
}

# read_url SECRET FILE OWNER: stores the new value of the secret in $url; empty if the secret stays as it is
read_url() {
  url=''
  local add="gcloud secrets versions add $1 --project=$project --data-file" form=HOST/DATABASE
  if exists gcloud secrets versions list "$1" --project="$project" --filter=state=ENABLED --limit=1 --format='value(name)' && [[ -n $output ]]; then
    log "$1 has a value. To replace it from the next deployment on: $add=FILE"
    return
  fi
  if [[ -n $dry_run ]]; then
    log "would read the URL $3 from ${2:-the terminal} and run: $add=-"
    return
  fi
  if [[ -n $2 ]]; then
    url=$(cat "$2")
  elif [[ -t 0 ]]; then
    [[ -z $connection ]] || form="/DATABASE?host=/cloudsql/$connection"
    read -r -s -p "  The URL $3 (hidden; empty to add it later): postgresql://USER:PASSWORD@$form " url
    echo
    [[ -z $url ]] || check_url "$url" 'The input'
  fi
  if [[ -z $url ]]; then
    log "$1 stays empty. Before the first deployment: $add=FILE"
    empty_secrets="$empty_secrets $1"
  fi
}

add_version() { # add_version SECRET VALUE
  [[ -z $2 ]] || run pipe_version "$1" "$2"
}

# A pipe: every process of this machine can read the arguments of another.
pipe_version() { # pipe_version SECRET VALUE
  printf '%s' "$2" | gcloud secrets versions add "$1" --project="$project" --data-file=-
}

# ── Main ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

check_options
check_gcloud
check_billing
find_repository_ids
# Every run of this repository that the provider accepts.
workflow=principalSet://iam.googleapis.com/projects/$project_number/locations/global/workloadIdentityPools/$pool/attribute.repository_id/$repo_id
[[ -z $cloud_sql ]] || check_cloud_sql
check_access

steps=(enable_apis create_registry set_cleanup_policy create_accounts create_pool create_provider create_secrets create_service create_job)
[[ -z $with_cloud_build ]] || steps+=(create_build)
steps+=(create_grants add_database_urls publish_variables)

echo "Prepares $project ($region) to deploy $service from $repo to $environment."
[[ -n $dry_run ]] || wait_for_propagation=yes
number=0
for step in "${steps[@]}"; do
  number=$((number + 1))
  "$step"
done
if [[ -n $dry_run ]]; then
  echo 'Nothing was changed.'
else
  [[ -z $empty_secrets ]] || echo "Add a value to these secrets before the first deployment:$empty_secrets"
  echo 'Done. Next: the Deploy workflow. DEPLOYMENT.md lists the costs; deploy/teardown.sh removes everything.'
fi
