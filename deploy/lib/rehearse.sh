# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of bootstrap.sh and of gcloud.sh
# The rehearsal of bootstrap.sh: the reads and the preflight of a deployment, as the deployer. Runs on bash 3.2.

# The candidate step uses both.
check_tools() {
  local tool
  for tool in jq envsubst; do
    command -v "$tool" >/dev/null || fail "--rehearse needs $tool, which is not installed."
  done
}

# An owner of the project cannot act as its accounts, so the person gets this permission for the rehearsal.
rehearse() {
  log_step "Rehearsal: reads and validates a deployment, as ${deployer%@*}"
  if [[ -n $dry_run ]]; then
    log "would act as ${deployer%@*} temporarily, read the resources of a deployment, and validate the service"
    return
  fi
  local name
  failed=0
  # Global, for the trap.
  binding=("$deployer" --project="$project" --role=roles/iam.serviceAccountTokenCreator)
  attempt gcloud auth list --filter=status:ACTIVE --format='value(account)' || fail "$(error_message)"
  if [[ $output == *.gserviceaccount.com ]]; then binding+=(--member="serviceAccount:$output"); else binding+=(--member="user:$output"); fi
  run gcloud iam service-accounts add-iam-policy-binding "${binding[@]}"
  trap 'end_rehearsal "${binding[@]}"; rm -f "$errors"' EXIT
  export CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT=$deployer
  check 'reads the service' gcloud run services describe "$service" --region="$region" --project="$project"
  # Without impersonation, every other check would fail too.
  if [[ $failed == 0 ]]; then
    check 'reads the migration job' gcloud run jobs describe "$job" --region="$region" --project="$project"
    for name in $(own_jobs); do check "reads the job $name" gcloud run jobs describe "$name" --region="$region" --project="$project"; done
    check 'reads the images' list_images
    check 'reads the log' gcloud logging read "resource.type=\"cloud_run_job\"" --project="$project" --limit=1
    for name in "$runtime_secret" "$migrator_secret" $(own_secrets); do check "finds a version of $name" has_version "$name"; done
    check 'Cloud Run accepts the service' preflight
  fi
  trap 'rm -f "$errors"' EXIT
  end_rehearsal "${binding[@]}"
  [[ $failed == 0 ]] || fail "$failed checks of the rehearsal failed. To explain the messages, pass them to: npm run doctor -- --explain"
}

end_rehearsal() { # end_rehearsal OPTION...: of the binding
  unset CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT
  attempt gcloud iam service-accounts remove-iam-policy-binding "$@" ||
    echo "Remove this grant by hand: gcloud iam service-accounts remove-iam-policy-binding $*. $(error_message)" >&2
}

check() { # check TITLE COMMAND...
  if attempt "${@:2}"; then
    log "ok    $1"
  else
    log "fail  $1: $(error_message)"
    failed=$((failed + 1))
  fi
}

list_images() {
  local messages
  messages=$(gcloud artifacts tags list --package="$service" --repository="$repository" --location="$region" --project="$project" 2>&1) && return
  # The package does not exist before its first image.
  [[ $messages =~ $NOT_FOUND ]] && return
  echo "$messages" >&2
  return 1
}

has_version() { # has_version SECRET
  [[ -n $(gcloud secrets versions list "$1" --project="$project" --filter=state=ENABLED --format='value(name)') ]] ||
    { echo "ERROR: The secret $1 has no enabled version." >&2 && return 1; }
}

# The first step of the job deploy, with Google's sample in place of an image that does not exist yet.
preflight() (
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  while read -r -u 3 _ name value; do
    [[ $value != - ]] || value=none
    export "$name=${!value:-}"
  done 3< <(rows variables.txt)
  export ENVIRONMENT=$environment RUNNER_TEMP=$folder GITHUB_SHA=rehearsal GITHUB_RUN_NUMBER=0 GITHUB_RUN_ATTEMPT=1
  "$(dirname "$0")/pipeline/candidate.sh" --dry-run us-docker.pkg.dev/cloudrun/container/hello >&2
)
