#!/usr/bin/env bash
# Makes what the pipeline needs in a Google Cloud project, once. What is there already is left as it is: after an
# interruption a second run goes on, and otherwise it finds nothing to make. No key is made either. What lets the
# workflow in is GitHub's own word about each run. For bash 3.2, which is the one of macOS.
# shellcheck source=deploy/cloud.sh
. "$(dirname "$0")/cloud.sh"

usage() {
  cat <<'TEXT'
Usage: deploy/bootstrap.sh --project ID --region REGION --repo OWNER/NAME [OPTION...]
  --service NAME              by default the repository's, with -ENVIRONMENT behind it unless that is production
  --environment NAME          production (default), or one whose repository variables begin with its name
  --cloud-sql INSTANCE        the Cloud SQL instance of this project that has the database
  --private                   callers need an identity that may call; by default everybody may
  --with-cloud-build          also what the Deploy workflow's builder cloud-build needs
  --database-url-file FILE    has the service's database URL; by default it is asked for
  --migrator-url-file FILE    has the migrations' database URL; by default it is asked for
  --repo-id ID --owner-id ID  the numbers of the GitHub repository and its owner; by default gh is asked
  --set-vars                  sets the repository variables through gh; by default they are printed
  --dry-run                   prints the commands that would change something, and runs none of them
TEXT
}

cloud_sql='' connection='' private='' with_cloud_build='' set_vars=''
runtime_url_file='' migrator_url_file='' repo_id='' owner_id='' empty_secrets=''

while [[ $# -gt 0 ]]; do
  case $1 in
    --private) private=yes ;;
    --with-cloud-build) with_cloud_build=yes ;;
    --set-vars) set_vars=yes ;;
    --dry-run) dry_run=yes ;;
    --help)
      usage
      exit
      ;;
    --project | --region | --repo | --service | --environment | --cloud-sql | --database-url-file | --migrator-url-file | --repo-id | --owner-id)
      [[ -n ${2:-} && $2 != --* ]] || fail "$1 needs a value."
      case $1 in
        --project) project=$2 ;;
        --region) region=$2 ;;
        --repo) repo=$2 ;;
        --service) service=$2 ;;
        --environment) environment=$2 ;;
        --cloud-sql) cloud_sql=$2 ;;
        --database-url-file) runtime_url_file=$2 ;;
        --migrator-url-file) migrator_url_file=$2 ;;
        --repo-id) repo_id=$2 ;;
        --owner-id) owner_id=$2 ;;
      esac
      shift
      ;;
    # Not repeated: it may be a secret that was given as an argument.
    *) fail "There is no option ${1%%=*}. --help lists them; a value stands behind its option, after a space." ;;
  esac
  shift
done

# ── Checks, before anything is changed ───────────────────────────────────────────────────────────────────────────────

check_options() {
  [[ -n $project && -n $region && -n $repo ]] || fail '--project, --region and --repo are needed. --help lists all options.'
  check_form --repo "$repo" '^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$' 'OWNER/NAME'
  name_everything
  [[ -z $cloud_sql ]] || check_form --cloud-sql "$cloud_sql" '^[a-z][a-z0-9-]*$' "an instance's name alone"
  local file
  for file in "$runtime_url_file" "$migrator_url_file"; do
    [[ -z $file ]] || check_url "$(cat "$file" 2>/dev/null)" "The file $file"
  done
  [[ -z $runtime_url_file || -z $migrator_url_file ]] || check_urls "$(cat "$runtime_url_file")" "$(cat "$migrator_url_file")"
}

check_url() { # check_url URL WHERE
  [[ $1 =~ ^postgres(ql)?://[^[:space:]]+$ ]] || fail "$2 has no database URL: postgresql://USER:PASSWORD@HOST/DATABASE"
}

# With one role for both, whoever breaks into the service can drop its tables.
check_urls() { # check_urls URL URL
  [[ $1 != "$2" ]] || fail 'Both database URLs are the same. deploy/database-roles.sql makes a role for each.'
}

check_billing() {
  # Some may not read this. Then the first API that needs billing will tell.
  attempt gcloud billing projects describe "$project" --format='value(billingEnabled)' || return 0
  [[ $output != False ]] ||
    fail "The project $project has no billing account. Run: gcloud billing projects link $project --billing-account=ID (gcloud billing accounts list has it)."
}

# A name can be given up, and taken by somebody else. A number cannot.
find_repository_ids() {
  if [[ -z $repo_id || -z $owner_id ]]; then
    command -v gh >/dev/null || fail 'gh is not installed. Give --repo-id and --owner-id; DEPLOYMENT.md says how to find them.'
    attempt gh api "repos/$repo" --jq '"\(.id) \(.owner.id)"' ||
      fail "gh cannot read $repo. Run gh auth login, or give --repo-id and --owner-id. $(reason)"
    repo_id=${output% *}
    owner_id=${output#* }
  fi
  check_form --repo-id "$repo_id" '^[0-9]+$' 'a number'
  check_form --owner-id "$owner_id" '^[0-9]+$' 'a number'
  [[ -z $set_vars ]] || attempt gh variable list --repo "$repo" || fail "--set-vars needs gh, signed in as an administrator of $repo. $(reason)"
}

# The sum that test/repository/deploy.spec.ts holds deploy/service.yaml to: each instance's pool and its health check's connection,
# twice during a rollout, the migrations' 2, and 5 for people.
check_cloud_sql() {
  local manifest version tier flags allowed=100 instances pool_size needed
  attempt gcloud sql instances describe "$cloud_sql" --project="$project" \
    --format='value[separator="|"](connectionName,databaseVersion,settings.tier,settings.databaseFlags)' ||
    fail "The Cloud SQL instance $cloud_sql cannot be read. $(reason)"
  IFS='|' read -r connection version tier flags <<<"$output"
  [[ -n $version ]] || fail "This gcloud is older than the version of $cloud_sql, and does not know it. Run: gcloud components update"
  [[ $version == POSTGRES_* ]] || fail "$cloud_sql is $version. The service needs PostgreSQL."

  # By the machine's memory; all but two have at least 100: https://cloud.google.com/sql/docs/postgres/flags#postgres-m
  case $tier in
    db-f1-micro) allowed=25 ;;
    db-g1-small) allowed=50 ;;
  esac
  if [[ $flags =~ max_connections[^0-9]+([0-9]+) ]]; then allowed=${BASH_REMATCH[1]}; fi
  manifest=$(dirname "$0")/service.yaml
  instances=$(sed -n "s|.*autoscaling.knative.dev/maxScale: '\([0-9]*\)'|\1|p" "$manifest")
  pool_size=$(sed -n '/name: DATABASE_POOL_MAX/{n;s/[^0-9]//g;p;}' "$manifest")
  needed=$(((${pool_size:-10} + 1) * instances * 2 + 2 + 5))
  [[ $needed -le $allowed ]] ||
    fail "$cloud_sql allows $allowed connections, and a rollout takes $needed. Raise its flag max_connections, or lower maxScale or DATABASE_POOL_MAX in deploy/service.yaml."
}

# Who may call is decided when the service is made. A second run does not close a public one in passing.
check_access() {
  [[ -n $private ]] || return 0
  exists gcloud run services describe "$service" --region="$region" --project="$project" \
    --format='value(metadata.annotations["run.googleapis.com/invoker-iam-disabled"])' || return 0
  [[ $output != [Tt]rue ]] ||
    fail "$service is public. Close it first: gcloud run services update $service --invoker-iam-check --region=$region --project=$project"
}

# ── Steps: what there must be ────────────────────────────────────────────────────────────────────────────────────────

enable_apis() {
  explain 'APIs: a person is asked whether to enable one, a workflow just fails'
  # sts and iamcredentials are for the sign-in, the others for what the pipeline does.
  local api missing=() apis='run artifactregistry iam iamcredentials sts secretmanager logging'
  [[ -z $cloud_sql ]] || apis="$apis sqladmin"
  [[ -z $with_cloud_build ]] || apis="$apis cloudbuild storage"
  attempt gcloud services list --enabled --project="$project" --format='value(config.name)' || fail "$(reason)"
  for api in $apis; do
    grep -qx "$api.googleapis.com" <<<"$output" || missing+=("$api.googleapis.com")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    said 'all are enabled'
  else
    change gcloud services enable "${missing[@]}" --project="$project"
  fi
}

make_repository() {
  explain "Registry: $repository, which has the images"
  if exists gcloud artifacts repositories describe "$repository" --location="$region" --project="$project"; then
    said 'is there'
  else
    change gcloud artifacts repositories create "$repository" --location="$region" --project="$project" \
      --repository-format=docker --description="Images of $service"
  fi
}

# A "keep" overrides a "delete". Immutable tags would rule out both this and the moving of serving- and previous-.
set_cleanup_policy() {
  explain 'Registry: keeps the newest 20 images, and what serves or has served last'
  change gcloud artifacts repositories set-cleanup-policies "$repository" --location="$region" --project="$project" \
    --policy="$(dirname "$0")/cleanup-policy.json" --no-dry-run
}

make_accounts() {
  explain 'Accounts: one deploys, the service runs as another, its migrations as a third'
  make_account "$deployer" "Deploys $service from GitHub"
  make_account "$runtime" "$service"
  make_account "$migrator" "Migrations of $service"
}

# One of its own for each service: nobody else's provider can vouch for this repository in it.
make_pool() {
  explain 'Sign-in: a pool for identities that GitHub vouches for'
  if ! exists gcloud iam workload-identity-pools describe "$pool" --location=global --project="$project" --format='value(state)'; then
    change gcloud iam workload-identity-pools create "$pool" --location=global --project="$project" --display-name='GitHub Actions'
  elif [[ $output == DELETED ]]; then
    # For 30 days it keeps its name, and can come back.
    change gcloud iam workload-identity-pools undelete "$pool" --location=global --project="$project"
  else
    said 'is there'
  fi
}

# Not whoever can push a branch or add a workflow: only the two workflows, as they are on main, when a person starts
# them. The subject is the run's, by which audit logs then tell runs apart: GitHub's own can be longer than the 127 bytes
# that Google takes.
make_provider() {
  explain "Sign-in: only for Deploy and Rollback of $repo, on main, started by hand"
  local main=refs/heads/main state
  local workflow="assertion.workflow_ref.endsWith('/.github/workflows"
  local condition="assertion.repository_id=='$repo_id' && assertion.repository_owner_id=='$owner_id' && assertion.ref=='$main' && assertion.event_name=='workflow_dispatch' && ($workflow/deploy.yml@$main') || $workflow/rollback.yml@$main'))"
  local trust=(
    --attribute-mapping="google.subject='run:' + assertion.run_id,attribute.repository_id=assertion.repository_id"
    --attribute-condition="$condition"
  )
  local here=(--workload-identity-pool="$pool" --location=global --project="$project")
  if ! exists gcloud iam workload-identity-pools providers describe "$provider" "${here[@]}" --format='value(state)'; then
    change gcloud iam workload-identity-pools providers create-oidc "$provider" "${here[@]}" \
      --issuer-uri=https://token.actions.githubusercontent.com "${trust[@]}"
    return
  fi
  state=$output
  [[ $state != DELETED ]] || change gcloud iam workload-identity-pools providers undelete "$provider" "${here[@]}"
  attempt gcloud iam workload-identity-pools providers describe "$provider" "${here[@]}" --format='value(attributeCondition)' || fail "$(reason)"
  if [[ $output == "$condition" ]]; then
    said 'is there'
  else
    said "trusts something else so far: $output"
    change gcloud iam workload-identity-pools providers update-oidc "$provider" "${here[@]}" "${trust[@]}"
  fi
}

make_secrets() {
  explain 'Secrets: the two database URLs, empty for now'
  make_secret "$runtime_secret"
  make_secret "$migrator_secret"
}

# So the pipeline never meets a service that is not there, needs no right to make one, and a person sets who may call,
# once: https://cloud.google.com/run/docs/authenticating/public
make_service() {
  local access=(--no-invoker-iam-check) who=everybody
  if [[ -n $private ]]; then
    access=(--invoker-iam-check --no-allow-unauthenticated)
    who='those who have the right'
  fi
  explain "Service: $service, which $who may call; until the first deployment it runs Google's sample"
  # One without a revision that was ever ready has been interrupted.
  if exists gcloud run services describe "$service" --region="$region" --project="$project" \
    --format='value(status.latestReadyRevisionName)' && [[ -n $output ]]; then
    said 'is there, and keeps the access that it has'
  else
    change gcloud run deploy "$service" --region="$region" --project="$project" \
      --image=us-docker.pkg.dev/cloudrun/container/hello --service-account="$runtime" --max-instances=1 "${access[@]}"
  fi
}

make_job() {
  explain "Job: $job, which migrates the database; until the first deployment it has Google's sample"
  if exists gcloud run jobs describe "$job" --region="$region" --project="$project"; then
    said 'is there'
  else
    change gcloud run jobs create "$job" --region="$region" --project="$project" \
      --image=us-docker.pkg.dev/cloudrun/container/job --service-account="$migrator"
  fi
}

# Google keeps its default bucket for logs to the project's owners and viewers. A bucket with a retention policy would
# not let a log grow.
make_build() {
  explain 'Cloud Build: an account that builds run as, a bucket for sources and one for logs'
  make_account "$builder" "Builds of $service"
  make_bucket "$build_bucket"
  make_bucket "$build_log_bucket"
}

# ── Step: who may do what ────────────────────────────────────────────────────────────────────────────────────────────

make_grants() {
  explain 'Grants: what deploy/grants.txt lists, each on the one thing that it is for'
  local when who role on without
  while read -r -u 3 when who role on without; do
    case $when in
      always) ;;
      --cloud-sql) [[ -n $cloud_sql ]] || continue ;;
      --with-cloud-build) [[ -n $with_cloud_build ]] || continue ;;
      '' | '#') continue ;;
      *) fail "deploy/grants.txt has a grant for $when, which is no option." ;;
    esac
    said "the $who: ${role#roles/} on the $on, for ${without%%:*}"
    grant "$who" "$role" "$on"
  done 3<"$(dirname "$0")/grants.txt"
}

# ── Steps: what only the operator knows, and what the workflow must know ─────────────────────────────────────────────

fill_secrets() {
  explain 'Secrets: the database URLs'
  local runtime_url migrator_url
  url_for "$runtime_secret" "$runtime_url_file" 'for the service'
  runtime_url=$url
  url_for "$migrator_secret" "$migrator_url_file" 'for its migrations'
  migrator_url=$url
  [[ -z $runtime_url ]] || check_urls "$runtime_url" "$migrator_url"
  add_version "$runtime_secret" "$runtime_url"
  add_version "$migrator_secret" "$migrator_url"
}

publish_variables() {
  local variables name prefix=''
  [[ $environment == production ]] || prefix=$(tr '[:lower:]-' '[:upper:]_' <<<"$environment")_
  variables="GCP_PROJECT_ID=$project
GCP_REGION=$region
GCP_SERVICE=$service
GCP_ARTIFACT_REPOSITORY=$repository
GCP_WIF_PROVIDER=projects/$project_number/locations/global/workloadIdentityPools/$pool/providers/$provider
GCP_DEPLOY_SERVICE_ACCOUNT=$deployer
GCP_RUNTIME_ACCOUNT=$runtime
GCP_MIGRATOR_ACCOUNT=$migrator"
  [[ -z $cloud_sql ]] || variables+="
GCP_CLOUD_SQL_INSTANCE=$connection"
  [[ -z $with_cloud_build ]] || variables+="
GCP_BUILD_ACCOUNT=$builder
GCP_BUILD_BUCKET=$build_bucket
GCP_BUILD_LOG_BUCKET=$build_log_bucket"

  if [[ -n $set_vars ]]; then
    explain "GitHub: the repository variables of $repo"
    while IFS='=' read -r name value; do
      change gh variable set "$prefix$name" --body "$value" --repo "$repo" </dev/null
    done <<<"$variables"
  else
    explain "GitHub: the repository variables, for https://github.com/$repo/settings/variables/actions (--set-vars sets them)"
    said "$prefix${variables//$'\n'/$'\n'  $prefix}"
  fi
}

# ── How the steps do it ──────────────────────────────────────────────────────────────────────────────────────────────

explain() { # explain TEXT: what a step is for
  echo "($number/${#steps[@]}) $1"
}

make_account() { # make_account EMAIL NAME
  if exists gcloud iam service-accounts describe "$1" --project="$project"; then
    said "${1%@*} is there"
  else
    change gcloud iam service-accounts create "${1%@*}" --project="$project" --display-name="$2"
  fi
}

make_secret() { # make_secret NAME
  if exists gcloud secrets describe "$1" --project="$project"; then
    said "$1 is there"
  else
    change gcloud secrets create "$1" --project="$project" --replication-policy=automatic
  fi
}

# Asks which buckets the project has: one of this name could be somebody else's, and open to us.
make_bucket() { # make_bucket NAME
  if exists gcloud storage buckets list --project="$project" --filter="name=$1" --format='value(name)' && [[ -n $output ]]; then
    said "$1 is there"
  else
    change gcloud storage buckets create "gs://$1" --project="$project" --location="$region" \
      --uniform-bucket-level-access --public-access-prevention --lifecycle-file="$(dirname "$0")/bucket-lifecycle.json"
  fi
}

grant() { # grant WHO ROLE ON, which are names of cloud.sh
  local member=serviceAccount:${!1} binding only
  [[ $1 != workflow ]] || member=$workflow
  binding=(--role="$2" --member="$member")
  case $3 in
    project) change gcloud projects add-iam-policy-binding "$project" "${binding[@]}" --condition=None ;;
    cloud_sql)
      only="expression=resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/$project/instances/$cloud_sql',title=$cloud_sql"
      change gcloud projects add-iam-policy-binding "$project" "${binding[@]}" --condition="$only"
      ;;
    deployer | runtime | migrator | builder) change gcloud iam service-accounts add-iam-policy-binding "${!3}" --project="$project" "${binding[@]}" ;;
    repository) change gcloud artifacts repositories add-iam-policy-binding "$repository" --location="$region" --project="$project" "${binding[@]}" ;;
    service) change gcloud run services add-iam-policy-binding "$service" --region="$region" --project="$project" "${binding[@]}" ;;
    job) change gcloud run jobs add-iam-policy-binding "$job" --region="$region" --project="$project" "${binding[@]}" ;;
    *_secret) change gcloud secrets add-iam-policy-binding "${!3}" --project="$project" "${binding[@]}" ;;
    *_bucket) change gcloud storage buckets add-iam-policy-binding "gs://${!3}" "${binding[@]}" ;;
    *) fail "deploy/grants.txt has a grant on $3, which is nothing that is made here." ;;
  esac
}

# url_for SECRET FILE PURPOSE: what is to go into the secret is in $url, which is empty if nothing is.
url_for() {
  url=''
  local add="gcloud secrets versions add $1 --project=$project --data-file" form=HOST/DATABASE
  if exists gcloud secrets versions list "$1" --project="$project" --filter=state=ENABLED --limit=1 --format='value(name)' && [[ -n $output ]]; then
    said "$1 has a value. Another one, for the next deployment: $add=FILE"
    return
  fi
  if [[ -n $dry_run ]]; then
    said "would take the URL $3 from ${2:-the keyboard} and run: $add=-"
    return
  fi
  if [[ -n $2 ]]; then
    url=$(cat "$2")
  elif [[ -t 0 ]]; then
    [[ -z $connection ]] || form="/DATABASE?host=/cloudsql/$connection"
    read -r -s -p "  The URL $3, which is not shown: postgresql://USER:PASSWORD@$form (empty for later) " url
    echo
    [[ -z $url ]] || check_url "$url" 'The answer'
  fi
  if [[ -z $url ]]; then
    said "$1 stays empty. Before the first deployment: $add=FILE"
    empty_secrets="$empty_secrets $1"
  fi
}

add_version() { # add_version SECRET VALUE
  [[ -z $2 ]] || change pipe_version "$1" "$2"
}

# A pipe, because everybody on this machine can read the arguments of a process.
pipe_version() { # pipe_version SECRET VALUE
  printf '%s' "$2" | gcloud secrets versions add "$1" --project="$project" --data-file=-
}

# ── All of it ────────────────────────────────────────────────────────────────────────────────────────────────────────

check_options
check_gcloud
check_billing
find_repository_ids
# Whoever GitHub vouches for as a run of this repository.
workflow=principalSet://iam.googleapis.com/projects/$project_number/locations/global/workloadIdentityPools/$pool/attribute.repository_id/$repo_id
[[ -z $cloud_sql ]] || check_cloud_sql
check_access

steps=(enable_apis make_repository set_cleanup_policy make_accounts make_pool make_provider make_secrets make_service make_job)
[[ -z $with_cloud_build ]] || steps+=(make_build)
steps+=(make_grants fill_secrets publish_variables)

echo "Prepares $project ($region) for $service, deployed from $repo to $environment."
# From here on, what is asked for may have been made a moment ago.
[[ -n $dry_run ]] || patient=yes
number=0
for step in "${steps[@]}"; do
  number=$((number + 1))
  "$step"
done
if [[ -n $dry_run ]]; then
  echo 'Nothing was changed.'
else
  [[ -z $empty_secrets ]] || echo "Before the first deployment fill these secrets, as said above:$empty_secrets"
  echo 'Done. Next: the Deploy workflow. DEPLOYMENT.md says what costs money from now on; deploy/teardown.sh ends it.'
fi
