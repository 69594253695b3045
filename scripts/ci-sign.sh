#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci-sign.sh NAME@DIGEST...: for the release workflow. Sign each image and each architecture's manifest in it without a key (the job's
# OpenID Connect identity, recorded in Sigstore's log), and attest each architecture's bill of materials.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${IMAGE_REPOSITORY:?}"
scripts/tools.sh cosign crane
bin=$(scripts/tools.sh --path)
for image in "$@"; do
  name=${image%@*}
  "$bin/cosign" sign --yes --recursive "$IMAGE_REPOSITORY/$image"
  "$bin/crane" manifest "$IMAGE_REPOSITORY/$image" | python3 -c 'import json, sys
for m in json.load(sys.stdin)["manifests"]: print(m["platform"]["architecture"], m["digest"])' | while read -r arch digest; do
    "$bin/cosign" attest --yes --type spdxjson --predicate "dist/release/$name-$arch.spdx.json" "$IMAGE_REPOSITORY/$name@$digest"
  done
done
