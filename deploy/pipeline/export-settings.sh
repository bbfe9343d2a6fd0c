#!/usr/bin/env bash
# Hands the repository variables of an environment on to the steps that follow. Those of another environment than
# production begin with its name, which is left out here: STAGING_GCP_REGION becomes GCP_REGION.
# From: ENVIRONMENT, its name; VARIABLES, all repository variables as a JSON object.
# shellcheck source=deploy/pipeline/step.sh
. "$(dirname "$0")/step.sh"

needed='GCP_PROJECT_ID GCP_REGION GCP_SERVICE GCP_ARTIFACT_REPOSITORY GCP_WIF_PROVIDER GCP_DEPLOY_SERVICE_ACCOUNT GCP_RUNTIME_ACCOUNT GCP_MIGRATOR_ACCOUNT'
optional='GCP_CLOUD_SQL_INSTANCE GCP_BUILD_ACCOUNT GCP_BUILD_BUCKET GCP_BUILD_LOG_BUCKET APP_OIDC_ISSUERS APP_OIDC_AUDIENCE APP_OIDC_SCOPE_GRANTS APP_CORS_ORIGINS'

prefix=''
# shellcheck disable=SC2153 # of the environment, and no misspelling
[[ $ENVIRONMENT == production ]] || prefix=$(tr '[:lower:]-' '[:upper:]_' <<<"$ENVIRONMENT")_

missing=''
for name in $needed $optional; do
  value=$(jq --raw-output --arg name "$prefix$name" '.[$name] // ""' <<<"$VARIABLES")
  # They go into single-quoted YAML, and line by line into GitHub's file.
  [[ $value != *[\'$'\n']* ]] || fail "The repository variable $prefix$name has a quotation mark or a line break."
  [[ -n $value || " $optional " == *" $name "* ]] || missing="$missing $prefix$name"
  echo "$name=$value" >>"$GITHUB_ENV"
  printf -v "$name" %s "$value"
done
[[ -z $missing ]] || fail "Repository variables are missing:$missing. deploy/bootstrap.sh prints them, and sets them with --set-vars."

# shellcheck disable=SC2154 # set above, by name
echo "IMAGE_NAME=$GCP_REGION-docker.pkg.dev/$GCP_PROJECT_ID/$GCP_ARTIFACT_REPOSITORY/$GCP_SERVICE" >>"$GITHUB_ENV"
# Then the smoke test can sign in. An entry is the caller, "=" and its scopes; an issuer may stand before it.
if [[ -n $APP_OIDC_AUDIENCE && $APP_OIDC_SCOPE_GRANTS =~ (^|,)\ *(https?://[^\ ,]+\ )?"$GCP_DEPLOY_SERVICE_ACCOUNT"= ]]; then
  echo 'DEPLOYER_IS_CALLER=true' >>"$GITHUB_ENV"
fi
