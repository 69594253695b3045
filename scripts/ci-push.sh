#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci-push.sh: for the release workflow. Lay the release's OCI archives out in dist/images, push them (make image-push), log this job's
# tools in to the registry, and give the digests to the steps that follow.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${IMAGE_REPOSITORY:?}" "${GITHUB_OUTPUT:?}"
(cd dist/release && sha256sum --check --strict --quiet SHA256SUMS)
for archive in dist/release/*.oci.tar; do
  name=$(basename "$archive" .oci.tar)
  mkdir -p "dist/images/${name%-*}"
  tar --extract --file "$archive" --directory "dist/images/${name%-*}"
done
make image-push
scripts/tools.sh crane
gcloud auth print-access-token | "$(scripts/tools.sh --path)/crane" auth login "${IMAGE_REPOSITORY%%/*}" --username oauth2accesstoken --password-stdin
for index in dist/images/*/index.json; do
  digest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["manifests"][0]["digest"])' "$index")
  echo "$(basename "$(dirname "$index")")=$digest" >>"$GITHUB_OUTPUT"
done
