#!/usr/bin/env bash
# Exports the repository variables of an environment to the steps that follow. Variables of any environment but production
# start with its name: STAGING_GCP_REGION is exported as GCP_REGION.
# Inputs: ENVIRONMENT; VARIABLES, all repository variables as a JSON object.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

[[ $ENVIRONMENT =~ ^[a-z][a-z0-9]*$ ]] || fail 'The input environment must be lowercase letters and digits.'
prefix=''
# shellcheck disable=SC2153 # from the environment
[[ $ENVIRONMENT == production ]] || prefix=$(tr '[:lower:]' '[:upper:]' <<<"$ENVIRONMENT")_

echo "ENVIRONMENT=$ENVIRONMENT" >>"$GITHUB_ENV"
missing=''
while read -r -u 3 option name _; do
  # shellcheck disable=SC2153 # from the environment
  value=$(jq --raw-output --arg name "$prefix$name" '.[$name] // ""' <<<"$VARIABLES")
  # The manifests have single-quoted values, and GitHub reads one variable per line.
  [[ $value != *[\'$'\n']* ]] || fail "The repository variable $prefix$name contains a quotation mark or a line break."
  [[ -n $value || $option != always ]] || missing="$missing $prefix$name"
  echo "$name=$value" >>"$GITHUB_ENV"
  printf -v "$name" %s "$value"
done 3< <(rows variables.txt)
[[ -z $missing ]] || fail "Repository variables are missing:$missing. deploy/bootstrap.sh prints them, or sets them with --set-vars."

# shellcheck disable=SC2154 # set by name above
echo "IMAGE_NAME=$GCP_REGION-docker.pkg.dev/$GCP_PROJECT_ID/$GCP_ARTIFACT_REPOSITORY/$GCP_SERVICE" >>"$GITHUB_ENV"
# The smoke test can then sign in to the service. A grant is CALLER=SCOPES, after an optional issuer.
if [[ -n $APP_OIDC_AUDIENCE && $APP_OIDC_SCOPE_GRANTS =~ (^|,)\ *(https?://[^\ ,]+\ )?"$GCP_DEPLOY_SERVICE_ACCOUNT"= ]]; then
  echo 'DEPLOYER_HAS_SCOPE_GRANT=true' >>"$GITHUB_ENV"
fi
