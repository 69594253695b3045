#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pin-digests.sh [--check]: in the manifests under platform/, k6/ and .github/, give every image that is named by a tag the digest that its
# registry answers for it (image: NAME:TAG becomes NAME:TAG@sha256:...). Needs skopeo and the registries.
#   --check  change nothing: list the images without a digest, exit 1 when there are any
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files --cached --others --exclude-standard 'platform/**/*.yaml' 'platform/**/*.yml' 'k6/*.yaml' '.github/workflows/*.yml')
images() { # images named by a tag alone; values that Kustomize substitutes have theirs elsewhere
  [ ${#files[@]} -eq 0 ] || sed -nE "s/^[[:space:]-]*image:[[:space:]]*[\"']?([A-Za-z0-9][A-Za-z0-9._\/-]*(:[0-9]+\/[A-Za-z0-9._\/-]*)?:[A-Za-z0-9._-]+)[\"']?[[:space:]]*(#.*)?$/\1/p" "${files[@]}" | sort -u
}
mapfile -t found < <(images)
if [ "${1:-}" = --check ]; then
  [ ${#found[@]} -eq 0 ] || printf 'not pinned: %s\n' "${found[@]}"
  [ ${#found[@]} -eq 0 ]
  exit
fi
[ ${#found[@]} -gt 0 ] || { echo "pin-digests: every image has its digest"; exit 0; }
command -v skopeo >/dev/null || { echo "pin-digests: skopeo is not on PATH: apt-get install -y skopeo" >&2; exit 1; }
status=0
for image in "${found[@]}"; do
  # The digest of the index over all architectures, computed here from what the registry sent: its word alone is not taken.
  if ! raw=$(mktemp) || ! skopeo inspect --raw "docker://$image" >"$raw" || [ ! -s "$raw" ]; then
    echo "pin-digests: no answer for $image (above)" >&2
    status=1
  else
    digest=sha256:$(sha256sum "$raw" | cut -d ' ' -f 1)
    escaped=$(printf '%s' "$image" | sed 's/[.[\*^$/]/\\&/g')
    sed -i -E "s/^([[:space:]-]*image:[[:space:]]*[\"']?)$escaped([\"']?[[:space:]]*(#.*)?)$/\1${image//\//\\/}@$digest\2/" "${files[@]}"
    echo "pin-digests: $image@$digest"
  fi
  rm -f "$raw"
done
exit $status
