#!/usr/bin/env bash
# The stand-in's gcloud, docker, gh and sleep. The script is installed under each of these names. It sends the call to the
# server at $STANDIN (cloud.mjs) and runs the returned script, which prints the output and exits.
set -euo pipefail
call=(--data-urlencode "cwd=$PWD" --data-urlencode "environment=HOME=${HOME:-}")
for name in ${!CLOUDSDK_*}; do call+=(--data-urlencode "environment=$name=${!name}"); done
for word in "$@"; do call+=(--data-urlencode "word=$word"); done
case " $* " in *'=- '*) call+=(--data-urlencode stdin@-) ;; esac
answer=$(curl --silent --show-error --fail --noproxy '*' "${call[@]}" "$STANDIN/${0##*/}")
eval "$answer"
