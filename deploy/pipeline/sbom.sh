#!/usr/bin/env bash
# Writes the software bill of materials of the image to sbom.spdx.json, with Syft. Input: DIGEST.
# shellcheck source=deploy/lib/pipeline.sh
. "$(dirname "$0")/../lib/pipeline.sh"

# The job can sign in, so it runs no code from a mutable address. For another version, copy the line of linux_amd64.tar.gz
# in https://github.com/anchore/syft/releases/download/vVERSION/syft_VERSION_checksums.txt.
readonly SYFT_VERSION=1.42.3
readonly SYFT_SHA256=${SYFT_SHA256:-0d6be741479eddd2c8644a288990c04f3df0d609bbc1599a005532a9dff63509}

validate_digest "$DIGEST"
archive=$RUNNER_TEMP/syft.tar.gz
curl --silent --show-error --fail --location --retry 3 --output "$archive" \
  "https://github.com/anchore/syft/releases/download/v$SYFT_VERSION/syft_${SYFT_VERSION}_linux_amd64.tar.gz"
sha256sum --check --status <<<"$SYFT_SHA256  $archive" || fail "Syft $SYFT_VERSION does not have the checksum in deploy/pipeline/sbom.sh."
tar --extract --gzip --file "$archive" --directory "$RUNNER_TEMP" syft
"$RUNNER_TEMP/syft" scan "registry:$IMAGE_NAME@$DIGEST" --output "spdx-json=$RUNNER_TEMP/sbom.spdx.json"
