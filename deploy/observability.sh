#!/usr/bin/env bash
# Applies deploy/observability/ to a service: dashboard, objectives, alerts, uptime check, log-based metrics, saved queries.
# Idempotent: it creates missing resources, updates changed ones, and deletes its resources that left the files. gcloud has
# no command for objectives, so each resource is the message of a REST API. Runs on bash 3.2.
# shellcheck source=deploy/lib/gcloud.sh
. "$(dirname "$0")/lib/gcloud.sh"
# shellcheck source=deploy/lib/database.sh
. "$(dirname "$0")/lib/database.sh"

usage() {
  cat <<'TEXT'
Usage: deploy/observability.sh --project ID --service NAME [OPTION...]
  --region REGION    default: gcloud config get run/region
  --notify EMAIL     notifies this address of every alert; channels that you add in the console remain
  --repo OWNER/NAME  the GitHub repository whose docs/runbook.md the alerts link; default: read with gh
  --host HOST        the host of the uptime check; default: the host of the service's address
  --adopt            takes over existing resources that another service or person manages
  --remove           removes everything that this script created
  --dry-run          prints the changes without making them

Exit codes: 0 on success, 1 after a failure. Rerun the command after you fix it.
TEXT
}

notify='' host='' adopt='' remove=''
channel='' database_id='' connections_threshold=''
changes=0

parse_options 'adopt remove dry-run' 'project region service repo notify host' "$@"

# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# request METHOD PATH [BODY]: prints the response of a Google API, or its error on one line. gcloud's variables for other
# endpoints apply here too.
request() {
  local base response status
  case $2 in
    v2/*) base=${CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING:-https://logging.googleapis.com/} ;;
    *:testIamPermissions) base=${CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER:-https://cloudresourcemanager.googleapis.com/} ;;
    *) base=${CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING:-https://monitoring.googleapis.com/} ;;
  esac
  # Not an argument: every process of this machine can read the arguments of another.
  response=$(curl --silent --show-error --max-time 60 --config <(printf 'header = "Authorization: Bearer %s"\n' "$token") \
    --request "$1" --header 'Content-Type: application/json' ${3:+--data "$3"} --write-out '\n%{http_code}' "$base$2") || return
  status=${response##*$'\n'}
  response=${response%$'\n'*}
  if [[ $status != 2* ]]; then
    echo "ERROR: $(jq --raw-output '.error | "\(.status): \(.message | gsub("\\s+"; " "))"' <<<"$response" 2>/dev/null ||
      echo "$1 $base${2%%\?*} returned $status")" >&2
    return 1
  fi
  printf '%s' "$response"
}

# list COLLECTION: stores the resources of the collection in $output, as a JSON array; [] if their parent does not exist
list() {
  local page='' all='[]' query='?pageSize=100'
  # By default, the API lists the caller's own queries.
  [[ $1 != */savedQueries ]] || query="$query&filter=visibility%20%3D%20SHARED"
  while true; do
    exists request GET "$1$query${page:+&pageToken=$page}" || output='{}'
    all=$(jq --compact-output --argjson all "$all" '$all + ([.[] | arrays] | add // [])' <<<"$output")
    page=$(jq --raw-output '.nextPageToken // "" | @uri' <<<"$output")
    [[ -n $page ]] || break
  done
  output=$all
}

# ── Checks, before anything is changed ───────────────────────────────────────────────────────────────────────────────

check_options() {
  [[ -n $region ]] || ! attempt gcloud config get run/region || region=$output
  [[ -n $project && -n $region && -n $service ]] || fail '--project, --region and --service are required. --help lists the options.'
  set_names
  [[ -z $notify ]] || validate --notify "$notify" '^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$' 'an email address'
  [[ -z $host ]] || validate --host "$host" '^[a-z0-9-]+(\.[a-z0-9-]+)+$' 'a host such as api.example.com'
}

check_tools() {
  local tool
  for tool in curl jq; do command -v "$tool" >/dev/null || fail "$tool is not installed. Install it with the package manager of your system."; done
  check_gcloud_version "$MIN_GCLOUD_VERSION"
  check_access_to_project
  attempt gcloud auth print-access-token || fail "$(error_message)"
  token=$output
}

# All of them before the first change: half of the alerts would look complete.
check_permissions() {
  local kind verb body permissions=(logging.queries.listShared) verbs=(create list update)
  if [[ -n $remove ]]; then
    verbs=(delete list)
    permissions+=(logging.queries.deleteShared)
  else
    permissions+=(logging.queries.share logging.queries.updateShared)
  fi
  for kind in logging.logMetrics monitoring.{alertPolicies,dashboards,notificationChannels,services,slos,uptimeCheckConfigs}; do
    for verb in "${verbs[@]}"; do permissions+=("$kind.$verb"); done
  done
  body=$(printf '%s\n' "${permissions[@]}" | jq --compact-output --raw-input --slurp '{permissions: split("\n") | map(select(. != ""))}')
  attempt request POST "v1/projects/$project:testIamPermissions" "$body" || fail "$(error_message)"
  output=$(jq --raw-output --argjson body "$body" '$body.permissions - (.permissions // []) | join(", ")' <<<"$output")
  [[ -z $output ]] ||
    fail "You lack permissions on $project, which roles/monitoring.editor and roles/logging.admin contain: $output. Nothing was changed."
}

find_repository() {
  [[ -n $repo ]] || ! attempt gh repo view --json nameWithOwner --jq .nameWithOwner || repo=$output
  [[ -n $repo ]] || fail 'The alerts link the runbook in the GitHub repository. Pass --repo OWNER/NAME, or sign in with gh auth login.'
  validate --repo "$repo" '^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$' 'OWNER/NAME'
}

find_service() {
  exists gcloud run services describe "$service" --region="$region" --project="$project" \
    --format='value[separator="|"](status.url,metadata.annotations["run.googleapis.com/invoker-iam-disabled"],spec.template.metadata.annotations["run.googleapis.com/cloudsql-instances"])' ||
    fail "There is no service $service in $region. Create it first: deploy/bootstrap.sh"
  IFS='|' read -r url is_public connection <<<"$output"
  [[ -n $host ]] || host=${url#*://}
  [[ -n $host ]] || fail "$service has no address on run.app. Pass the host of its domain with --host."
}

find_database() {
  local instance=${connection##*:} tier flags
  if [[ $connection != "$project":* || $connection == *,* ]]; then
    echo "No Cloud SQL instance of $project is deployed with $service: leaves out the alert and the chart for its connections."
    return
  fi
  attempt gcloud sql instances describe "$instance" --project="$project" --format='value[separator="|"](settings.tier,settings.databaseFlags)' ||
    fail "Cannot read the Cloud SQL instance $instance. $(error_message)"
  IFS='|' read -r tier flags <<<"$output"
  database_id=$project:$instance
  connections_threshold=$(($(allowed_connections "$tier" "$flags") * 8 / 10))
}

check_owners() {
  for_each_difference check_difference
  [[ -z $foreign || -n $adopt ]] ||
    fail "Not created by deploy/observability.sh for $service: ${foreign#, }. Rerun with --adopt to take over. Nothing was changed."
}

check_difference() { # arguments as for_each_difference
  [[ $3 != foreign ]] || foreign="$foreign, the $1 $4 of $5"
}

# ── Differences between files and project ────────────────────────────────────────────────────────────────────────────

# for_each_difference FUNCTION: calls it for each resource with title, collection, action, id, name and body
for_each_difference() {
  local row title file collection projects=projects/$project
  # In the order of their dependencies.
  local rows=(
    "metric metrics v2/$projects/metrics"
    "query queries v2/$projects/locations/global/savedQueries"
    "service service v3/$projects/services"
    "objective objectives v3/$projects/services/$service/serviceLevelObjectives"
    "check uptime v3/$projects/uptimeCheckConfigs"
    "channel channel v3/$projects/notificationChannels"
    "alert alerts v3/$projects/alertPolicies"
    "dashboard dashboard v1/$projects/dashboards"
  )
  [[ -z $remove ]] || rows=("${rows[7]}" "${rows[6]}" "${rows[5]}" "${rows[4]}" "${rows[3]}" "${rows[2]}" "${rows[1]}" "${rows[0]}")
  for row in "${rows[@]}"; do
    read -r title file collection <<<"$row"
    compare_collection "$1" "$title" "$file" "$collection"
  done
}

compare_collection() { # compare_collection FUNCTION TITLE FILE COLLECTION
  local wanted differences action id name body
  # Without --notify, existing channels remain.
  [[ $3 != channel || -n $notify$remove ]] || return 0
  wanted=$(render "$3")
  list "$4"
  differences=$(jq --null-input --raw-output --from-file "$(dirname "$0")/lib/differences.jq" \
    --argjson found "$output" --argjson wanted "$wanted" --arg service "$service" --arg adopt "$adopt")
  while IFS=$'\t' read -r -u 4 action id name body; do
    [[ -z $action ]] || "$1" "$2" "$4" "$action" "$id" "$name" "$body"
  done 4<<<"$differences"
}

render() { # render FILE: prints the wanted resources as a JSON array; none with --remove
  if [[ -n $remove ]]; then
    echo '[]'
  elif [[ $1 == channel ]]; then
    jq --null-input --arg email "$notify" --arg service "$service" \
      '[{type: "email", displayName: "\($service): \($email)", labels: {email_address: $email}, userLabels: {"managed-by": $service, id: "email"}}]'
  else
    sed -e "s|\${GCP_PROJECT_ID}|$project|g" -e "s|\${GCP_REGION}|$region|g" -e "s|\${GCP_SERVICE}|$service|g" \
      -e "s|\${HOST}|$host|g" -e "s|\${RUNBOOK_URL}|https://github.com/$repo/blob/main/docs/runbook.md|g" \
      -e "s|\${CLOUD_SQL_DATABASE_ID}|$database_id|g" -e "s|\${CONNECTIONS_THRESHOLD}|$connections_threshold|g" \
      "$(dirname "$0")/observability/$1.json" |
      jq --arg database "$database_id" --arg channel "$channel" '
        def usable: $database != "" or (tostring | contains("cloudsql_database") | not);
        if type == "array" then . else [.] end
        | map(if .mosaicLayout then .mosaicLayout.tiles |= map(select(usable)) else select(usable) end)
        | map(if .conditions and $channel != "" then .notificationChannels = [$channel] else . end)'
  fi
}

# ── Steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────

enable_apis() {
  local row
  for row in "monitoring v3/projects/$project/services" "logging v2/projects/$project/metrics"; do
    attempt request GET "${row#* }?pageSize=1" || [[ ! $output =~ 'has not been used' ]] || {
      # Nothing exists without the API.
      [[ -z $remove ]] || exit 0
      run gcloud services enable "${row% *}.googleapis.com" --project="$project"
    }
  done
}

# Google's list prices of 2026.
print_costs() {
  local conditions
  conditions=$(render alerts | jq '[.[].conditions[]] | length')
  cat <<TEXT
Applies deploy/observability/ to $service in $project ($region). Costs per month, by https://cloud.google.com/stackdriver/pricing:
  alerts: about \$$((conditions * 13 / 100 + 1)), of which \$0.10 for each of $conditions conditions, also without requests
  uptime check: 263,000 of the 1,000,000 executions that are free per project. It keeps one instance warm
  log-based metrics: 10 routes with steady traffic use about 75 of the 150 MiB that are free per billing account
  dashboard, objectives, saved queries and emails: free
TEXT
}

apply_difference() { # arguments as for_each_difference
  local title="$1 $4" version=${2%%/*} path body=$6
  # The API assigns these names, or takes the id from the query.
  case $1 in metric | dashboard) ;; *) body=$(jq --compact-output 'del(.name)' <<<"$6") ;; esac
  path=$version/$5
  [[ $1 != metric ]] || path=$2/$4
  case $3 in
    keep) ;;
    create)
      case $1 in
        query) path="$2?savedQueryId=$4" ;;
        service) path="$2?serviceId=$4" ;;
        objective) path="$2?serviceLevelObjectiveId=$4" ;;
        *) path=$2 ;;
      esac
      change "created the $title" POST "$path" "$body"
      ;;
    update)
      case $1 in
        metric) change "updated the $title" PUT "$path" "$body" ;;
        query) change "updated the $title" PATCH "$path?updateMask=*" "$body" ;;
        *) change "updated the $title" PATCH "$path" "$body" ;;
      esac
      ;;
    delete)
      # Alerts of other services may use the channel.
      [[ $1 != channel ]] || path="$path?force=true"
      change "deleted the $title" DELETE "$path"
      ;;
  esac
  [[ $1 != channel || $3 == delete ]] || channel=$5
  [[ $1 != channel || $3 != create || -n $dry_run ]] || channel=$(jq --raw-output .name <<<"$output")
}

change() { # change TITLE METHOD PATH [BODY]
  changes=$((changes + 1))
  if [[ -n $dry_run ]]; then
    log "would have $1"
  else
    attempt request "${@:2}" || fail "$(error_message) (Fix the cause, then rerun this script: it is idempotent.)"
    log "$1"
  fi
}

# The uptime check signs in as the service agent of Monitoring, which exists once the project has such a check.
allow_uptime_check() {
  local agent=serviceAccount:service-$project_number@gcp-sa-monitoring-notification.iam.gserviceaccount.com
  [[ $is_public != [Tt]rue ]] || return 0
  exists gcloud run services get-iam-policy "$service" --region="$region" --project="$project" --flatten='bindings[].members' \
    --filter="bindings.role=roles/run.invoker AND bindings.members=$agent" --format='value(bindings.role)' || output=''
  [[ -z $output ]] || return 0
  run gcloud run services add-iam-policy-binding "$service" --region="$region" --project="$project" --role=roles/run.invoker --member="$agent"
  log "allowed the uptime check to call $service"
  changes=$((changes + 1))
}

# ── Main ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

check_options
check_tools
if [[ -z $remove ]]; then
  find_repository
  find_service
  find_database
  print_costs
fi
check_permissions
enable_apis
[[ -n $dry_run$remove ]] || wait_for_propagation=yes
# Only resources with the mark are removed.
[[ -n $remove ]] || check_owners
for_each_difference apply_difference
[[ -n $remove ]] || allow_uptime_check

if [[ $changes -eq 0 ]]; then
  echo 'Nothing to change.'
elif [[ -n $dry_run ]]; then
  echo 'Nothing was changed.'
elif [[ -z $remove ]]; then
  [[ -n $notify ]] || echo 'Without --notify, an alert notifies only the channels that you add to it in the console.'
  echo "Done. Dashboard: https://console.cloud.google.com/monitoring/dashboards/builder/$service?project=$project"
fi
