#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sdist.sh [DIR]: the Python package's source distribution in DIR (dist), with the C engine's sources inside; the same bytes
# from the same commit. Prints its path.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build "${1:-dist}"
out=$(realpath "${1:-dist}")
read -r version epoch _ < <(scripts/source-id.sh)
python=$(scripts/venv.sh wheel python/requirements-build.txt)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
SOURCE_DATE_EPOCH=$epoch "$python" -m build --sdist --no-isolation --outdir "$stage" python >build/sdist.log 2>&1 || {
  tail -n 20 build/sdist.log >&2
  echo "sdist: failed; the whole log is build/sdist.log" >&2
  exit 1
}
# Packed again: what a builder writes into a tar's headers is its own affair.
tar --extract --file "$stage/inferd-$version.tar.gz" --directory "$stage"
find "$stage/inferd-$version" -type d -exec chmod 755 {} +
find "$stage/inferd-$version" -type f -exec chmod 644 {} +
rm -f "$out"/inferd-*.tar.gz
tar --create --directory "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" --format=ustar "inferd-$version" |
  gzip -n -9 >"$out/inferd-$version.tar.gz"
echo "$out/inferd-$version.tar.gz"
