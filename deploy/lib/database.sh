# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of bootstrap.sh and of gcloud.sh
# The database of bootstrap.sh: its URLs, the Cloud SQL instance, the roles and their passwords. Runs on bash 3.2.
readonly DEFAULT_TIER=db-custom-1-3840
# Has psql. The same version as in docker/compose.yaml.
readonly POSTGRES_IMAGE=docker.io/library/postgres:18 POSTGRES_VERSION=POSTGRES_18 MIN_GCLOUD_VERSION_POSTGRES_18=542

has_instance='' created_instance='' runtime_role='' empty_secrets=''

# ── The database URLs ──────────────────────────────────────────────────────────────────────────────────────────────────

decode() { # decode TEXT: prints it without percent-encoding
  printf '%b' "${1//%/\\x}"
}

# check_url URL SOURCE: sets $url_user
check_url() {
  local text="[A-Za-z0-9._~!\$&'()*+,;=%-]+" host hosts=() parameter parameters=() socket=''
  [[ ! $1 =~ %(.?$|[^0-9A-Fa-f]|.[^0-9A-Fa-f]) && $1 =~ ^postgres(ql)?://($text):$text@($text)?(:[0-9]+)?/$text(\?([^#[:space:]]*))?$ ]] ||
    fail "$2 has no database URL: postgresql://USER:PASSWORD@HOST/DATABASE. Percent-encode reserved characters, for example @ as %40."
  url_user=$(decode "${BASH_REMATCH[2]}")
  host=$(decode "${BASH_REMATCH[3]}")
  IFS='&' read -r -a parameters <<<"${BASH_REMATCH[6]}"
  for parameter in ${parameters[@]+"${parameters[@]}"}; do
    case $(decode "${parameter%%=*}") in
      host) hosts+=("$(decode "${parameter#*=}")") ;;
      user | password | port | database | dbname) fail "$2 has the parameter ${parameter%%=*}, which would override the URL. Remove it." ;;
    esac
  done
  [[ ${#hosts[@]} -le 1 ]] || fail "$2 has several hosts. Keep one of them."
  host=${hosts[0]:-$host}
  # These roles may do everything, and Cloud SQL's own ones belong to Google.
  [[ ! $url_user =~ ^(postgres|cloudsql.*)$ ]] ||
    fail "$2 has the user $url_user, an administrator. Create a role for each URL: deploy/database-roles.sql"
  [[ -n $host ]] || fail "$2 has no host. Add it after @, or as ?host=/cloudsql/PROJECT:REGION:INSTANCE"
  [[ $host != /* ]] || socket=${host#/cloudsql/}
  [[ -z $socket || -n $connection ]] || fail "$2 has the socket $host. Add --cloud-sql INSTANCE."
  [[ -z $socket || $socket == "$connection" ]] || fail "$2 has the socket $host. The socket of $cloud_sql is /cloudsql/$connection"
}

# find_version SECRET: stores the number of the newest enabled version in $output, empty without one
find_version() {
  exists gcloud secrets versions list "$1" --project="$project" --filter=state=ENABLED --limit=1 --format='value(name.basename())' || output=''
}

# read_url SECRET FILE OWNER: stores the new value of the secret in $url, and its user in $url_user; empty to keep the secret
read_url() {
  local form=HOST/DATABASE
  url='' url_user=''
  if [[ -n $2 ]]; then
    url=$(cat "$2" 2>/dev/null) || true
    check_url "$url" "The file $2"
  fi
  find_version "$1"
  if [[ -n $output ]]; then
    # The value of another run.
    [[ -n $url ]] || ! attempt gcloud secrets versions access "$output" --secret="$1" --project="$project" ||
      [[ ! $output =~ ^postgres(ql)?://([^:@/]+) ]] || url_user=$(decode "${BASH_REMATCH[2]}")
    url=''
  elif [[ -z $url && -t 0 && -z $dry_run ]]; then
    [[ -z $connection ]] || form="/DATABASE?host=/cloudsql/$connection"
    read -r -s -p "The URL $3 (hidden; empty to add it later): postgresql://USER:PASSWORD@$form " url
    echo
    [[ -z $url ]] || check_url "$url" 'The input'
  fi
}

# With one role for both, an attacker in the service could drop its tables.
read_urls() {
  local runtime_user
  read_url "$runtime_secret" "$database_url_file" 'of the service'
  runtime_url=$url runtime_user=$url_user
  read_url "$migrator_secret" "$migrator_url_file" 'of its migrations'
  migrator_url=$url
  [[ -z $url_user || $url_user != "$runtime_user" ]] ||
    fail "Both database URLs have the user $url_user. Create a role for each: deploy/database-roles.sql"
}

# ── Checks of the instance, before anything is changed ─────────────────────────────────────────────────────────────────

check_cloud_sql() {
  local version flags allowed needed
  attempt gcloud sql instances describe "$cloud_sql" --project="$project" \
    --format='value[separator="|"](connectionName,databaseVersion,settings.tier,settings.databaseFlags)' ||
    fail "Cannot read the Cloud SQL instance $cloud_sql. $(error_message)"
  IFS='|' read -r connection version tier flags <<<"$output"
  [[ -n $version ]] || fail "This gcloud is older than the version of $cloud_sql. Run: gcloud components update"
  [[ $version == POSTGRES_* ]] || fail "$cloud_sql is $version. The service needs PostgreSQL."
  allowed=$(allowed_connections "$tier" "$flags")
  needed=$(needed_connections)
  [[ $needed -le $allowed ]] ||
    fail "$cloud_sql allows $allowed connections, and a rollout needs $needed. Raise its flag max_connections, or lower MAX_INSTANCES or DATABASE_POOL_MAX in deploy/settings.txt."
}

# The formula of test/repository/deploy.spec.ts: each instance's pool and its health check's connection, twice during a
# rollout, 2 for the migrations and 5 in reserve.
needed_connections() {
  local instances pool_size
  instances=$(setting MAX_INSTANCES)
  pool_size=$(setting DATABASE_POOL_MAX)
  [[ $instances =~ ^[1-9][0-9]*$ && $pool_size =~ ^[1-9][0-9]*$ ]] ||
    fail "MAX_INSTANCES and DATABASE_POOL_MAX in deploy/settings.txt must be numbers for $environment."
  echo $(((pool_size + 1) * instances * 2 + 2 + 5))
}

allowed_connections() { # allowed_connections TIER FLAGS: the number that the instance allows
  if [[ $2 =~ max_connections[^0-9]+([0-9]+) ]]; then echo "${BASH_REMATCH[1]}"; else max_connections "$1"; fi
}

max_connections() { # max_connections TIER: the number that PostgreSQL allows by default
  local row
  row=$(rows max-connections.txt | grep "^$1 " || rows max-connections.txt | grep '^default ')
  echo "${row##* }"
}

# gcloud labels instances only in its beta commands, so a label of the secret is the mark of the created instance.
find_created_instance() {
  exists gcloud secrets describe "$runtime_secret" --project="$project" --format='value(labels.cloud-sql-instance)' || return 0
  created_instance=$output
  cloud_sql=${cloud_sql:-$created_instance}
}

# Checks the instance that --create-database creates, or has created before an interruption.
check_new_database() {
  local secret candidate needed
  cloud_sql=${cloud_sql:-$service}
  connection=$project:$region:$cloud_sql
  if exists gcloud sql instances describe "$cloud_sql" --project="$project" --format='value(region)'; then
    has_instance=yes
    [[ $output == "$region" ]] || fail "The Cloud SQL instance $cloud_sql is in $output. Pass the name of a new instance with --cloud-sql."
    [[ $created_instance == "$cloud_sql" ]] ||
      foreign="$foreign, the Cloud SQL instance $cloud_sql of an unknown owner (to use it without changes, leave out --create-database)"
    check_cloud_sql
    return
  fi
  [[ -z $rotate_passwords ]] || fail "--create-database has created no Cloud SQL instance $cloud_sql."
  for secret in "$runtime_secret" "$migrator_secret"; do
    find_version "$secret"
    [[ -z $output ]] || fail "The secret $secret has a value, so $service has a database. Leave out --create-database."
  done
  needed=$(needed_connections)
  if [[ $tier == small ]]; then
    for candidate in db-f1-micro db-g1-small db-custom-1-3840; do
      tier=$candidate
      [[ $(max_connections "$tier") -lt $needed ]] || break
    done
  fi
  [[ $needed -le $(max_connections "$tier") ]] ||
    fail "$tier allows $(max_connections "$tier") connections, and a rollout needs $needed. Choose a larger --tier, or lower MAX_INSTANCES or DATABASE_POOL_MAX in deploy/settings.txt."
  # Without permission to read the policy, the creation reports it.
  if attempt gcloud resource-manager org-policies describe sql.restrictPublicIp --project="$project" --effective --format='value(booleanPolicy.enforced)'; then
    [[ $output != True ]] || fail 'The organization policy sql.restrictPublicIp forbids the instance. docs/deployment/recipes.md, "Private IP", has the alternative.'
  fi
}

# A second rotation before the deployment would replace the password of the serving revision.
check_rotation() {
  local newest traffic
  find_version "$runtime_secret"
  newest=$output
  exists gcloud run services describe "$service" --region="$region" --project="$project" --format='value(status.traffic)' || return 0
  traffic=$output
  while [[ $traffic =~ \'revisionName\':\ \'([^\']+)\'(.*) ]]; do
    traffic=${BASH_REMATCH[2]}
    attempt gcloud run revisions describe "${BASH_REMATCH[1]}" --region="$region" --project="$project" --format='value(spec.containers[0].env)' ||
      fail "$(error_message)"
    [[ $output =~ secretKeyRef[^}]*${runtime_secret}[^}]* && ${BASH_REMATCH[0]} =~ key\':\ \'([0-9]+) ]] || continue
    [[ ${BASH_REMATCH[1]} == "$newest" ]] ||
      fail "The service has version ${BASH_REMATCH[1]} of $runtime_secret, and $newest is the newest. Deploy it first: npm run deploy -- --watch"
  done
}

# Google's list prices of 2026 in us-central1, with 10 GB.
monthly_dollars() {
  case $tier in
    db-f1-micro) echo 10 ;;
    db-g1-small) echo 28 ;;
    *)
      [[ $tier =~ ^db-custom-([0-9]+)-([0-9]+)$ ]]
      echo $(((BASH_REMATCH[1] * 3015 + BASH_REMATCH[2] * 511 / 1024 + 170) / 100))
      ;;
  esac
}

confirm_costs() {
  local answer
  cat <<TEXT
Creates:
  the Cloud SQL instance $cloud_sql, $tier with 10 GB: about \$$(monthly_dollars) a month from now on, also without requests
  everything else: cents a month until requests arrive. DEPLOYMENT.md lists the costs; deploy/teardown.sh removes everything
TEXT
  [[ -z $yes && -z $dry_run ]] || return 0
  [[ -t 0 ]] || fail 'There is no terminal to confirm the costs. Add --yes.'
  read -r -p 'Continue? [y/N] ' answer
  [[ $answer == [yY]* ]] || fail 'Nothing was created.'
}

# ── Steps ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

# First, because the instance takes about ten minutes. The other steps do not wait for it.
create_instance() {
  log_step "Database: the Cloud SQL instance $cloud_sql, in the background"
  if [[ -z $has_instance || -n $adopt ]]; then
    run gcloud secrets update "$runtime_secret" --project="$project" --update-labels="cloud-sql-instance=$cloud_sql"
  fi
  if [[ -n $has_instance ]]; then
    log 'exists'
  else
    run gcloud sql instances create "$cloud_sql" --project="$project" --region="$region" --database-version="$POSTGRES_VERSION" \
      --edition=enterprise --tier="$tier" --storage-size=10 --backup-start-time=03:00 --enable-point-in-time-recovery \
      --ssl-mode=ENCRYPTED_ONLY --deletion-protection --async
  fi
}

add_database_urls() {
  log_step 'Secrets: the values'
  add_version "$runtime_secret" "$runtime_url"
  add_version "$migrator_secret" "$migrator_url"
}

# A job of Cloud Run reaches the instance from every network, without psql or a proxy on this machine. It gets the
# administrator's password in a secret that is deleted afterwards.
create_database_roles() {
  log_step "Database: $database with its roles, and the secrets' values"
  if [[ -n $dry_run ]]; then
    log "would wait for the instance, create the database and its roles, and add both URLs"
    return
  fi
  wait_for_instance
  create 'sql databases' "$database" --instance="$cloud_sql" --
  runtime_role=${database}_runtime
  find_version "$runtime_secret"
  if [[ -z $output ]]; then
    set_passwords
  elif [[ -n $rotate_passwords ]]; then
    # The role that is not deployed: running instances keep their password until the next deployment.
    attempt gcloud secrets versions access "$output" --secret="$runtime_secret" --project="$project" || fail "$(error_message)"
    [[ $output != *"//$runtime_role:"* ]] || runtime_role=${database}_runtime_2
    set_passwords
  else
    log 'the secrets have values'
  fi
  remove "job $roles_job" 'run jobs' "$roles_job" --region="$region"
  remove "secret $roles_secret" secrets "$roles_secret"
}

wait_for_instance() {
  local seconds=0
  while true; do
    attempt gcloud sql instances describe "$cloud_sql" --project="$project" --format='value(state)' || fail "$(error_message)"
    [[ $output != RUNNABLE ]] || return 0
    [[ $output == PENDING_CREATE && $seconds -lt 1800 ]] || fail "The Cloud SQL instance $cloud_sql is $output. See its operations: gcloud sql operations list --instance=$cloud_sql --project=$project"
    [[ $seconds -gt 0 ]] || log 'waiting for the instance, about ten minutes'
    seconds=$((seconds + RETRY_SECONDS))
    sleep "$RETRY_SECONDS"
  done
}

# Creates the roles with new passwords, also after an interruption, because the earlier ones were never stored.
set_passwords() {
  local admin_password runtime_password migrator_password
  admin_password=$(generate_password)
  runtime_password=$(generate_password)
  migrator_password=$(generate_password)
  run set_admin_password "$admin_password"
  create_secret "$roles_secret"
  run gcloud secrets add-iam-policy-binding "$roles_secret" --project="$project" --role=roles/secretmanager.secretAccessor --member="serviceAccount:$migrator"
  run pipe_version "$roles_secret" "$(print_roles_script)"
  create 'run jobs' "$roles_job" --region="$region" -- --image="$POSTGRES_IMAGE" --service-account="$migrator" --max-retries=0 \
    --set-cloudsql-instances="$connection" --set-secrets="/bootstrap/roles.sh=$roles_secret:latest" --command=sh --args=/bootstrap/roles.sh
  attempt gcloud run jobs execute "$roles_job" --region="$region" --project="$project" --wait ||
    fail "The job $roles_job did not create the roles. $(error_message) Its log: gcloud logging read resource.labels.job_name=$roles_job --project=$project. Then rerun this script."
  run pipe_version "$migrator_secret" "postgresql://${database}_migrator:$migrator_password@/$database?host=/cloudsql/$connection"
  # Last: with this version, everything above is complete.
  run pipe_version "$runtime_secret" "postgresql://$runtime_role:$runtime_password@/$database?host=/cloudsql/$connection"
}

# Reads the variables of set_passwords. The migrator needs no second role: no migration runs between deployments. bash
# would write a here-document to a file.
print_roles_script() {
  printf '%s\n' "export PGHOST=/cloudsql/$connection PGDATABASE=$database PGUSER=postgres PGPASSWORD=$admin_password PGCONNECT_TIMEOUT=10" \
    "timeout 300 sh -c 'until psql --quiet --command=\"SELECT 1\" >/dev/null; do sleep 10; done' # a new grant takes minutes" \
    "psql --quiet --set=ON_ERROR_STOP=1 <<'SQL'"
  cat "$(dirname "$0")/database-roles.sql"
  printf '%s\n' "ALTER ROLE ${database}_migrator PASSWORD '$migrator_password';" "ALTER ROLE $runtime_role PASSWORD '$runtime_password';" SQL
}

# 192 bits in characters that neither a URL nor SQL changes.
generate_password() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

add_version() { # add_version SECRET VALUE: adds the first version
  local add="gcloud secrets versions add $1 --project=$project --data-file"
  find_version "$1"
  if [[ -n $output ]]; then
    log "$1 has a value. To replace it from the next deployment on: $add=FILE"
  elif [[ -z $2 ]]; then
    log "$1 stays empty. Before the next deployment: $add=FILE"
    empty_secrets="$empty_secrets $1"
  elif [[ -n $dry_run ]]; then
    log "would run: $add=-"
  else
    run pipe_version "$1" "$2"
  fi
}

# A pipe: every process of this machine can read the arguments of another.
pipe_version() { # pipe_version SECRET VALUE
  printf '%s' "$2" | gcloud secrets versions add "$1" --project="$project" --data-file=-
}

set_admin_password() { # set_admin_password PASSWORD
  printf -- '--password: "%s"\n' "$1" | gcloud sql users set-password postgres --instance="$cloud_sql" --project="$project" --flags-file=-
}
