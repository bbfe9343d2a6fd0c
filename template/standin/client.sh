#!/usr/bin/env bash
# gcloud, docker, gh and sleep of the stand-in, by the name that it is called by: hands the call to the server at $STANDIN
# (cloud.mjs), and does what it answers, which is to print something and to exit.
set -euo pipefail
call=(--data-urlencode "cwd=$PWD" --data-urlencode "environment=HOME=${HOME:-}")
for name in ${!CLOUDSDK_*}; do call+=(--data-urlencode "environment=$name=${!name}"); done
for word in "$@"; do call+=(--data-urlencode "word=$word"); done
case " $* " in *'=- '*) call+=(--data-urlencode stdin@-) ;; esac
answer=$(curl --silent --show-error --fail --noproxy '*' "${call[@]}" "$STANDIN/${0##*/}")
eval "$answer"
