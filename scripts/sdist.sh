#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sdist.sh DIR: the Python package's source distribution in DIR, with the engine inside, so that it builds where only it was unpacked.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath "${1:?usage: sdist.sh DIR}")
read -r version epoch _ < <(scripts/source-id.sh)
python=$(scripts/venv.sh wheel python/requirements-build.txt)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp -r python "$stage/python"
rm -rf "$stage/python/tests" "$stage/python/rayops"
mkdir "$stage/python/engine"
cp -r engine/CMakeLists.txt engine/cmake engine/include engine/src "$stage/python/engine/"
cp LICENSE "$stage/python/"
find "$stage" -name __pycache__ -prune -exec rm -rf {} +
find "$stage" -type d -exec chmod 755 {} +
find "$stage" -type f -exec chmod 644 {} +
if ! (cd "$stage/python" && SOURCE_DATE_EPOCH=$epoch PATH="$PWD/$(dirname "$python"):$OLDPWD/$(dirname "$python"):$PATH" "$OLDPWD/$python" -m build --sdist --no-isolation \
    -C build-dir=build --outdir "$stage/dist" .) >"$stage/log" 2>&1; then
  tail -n 20 "$stage/log" >&2
  echo "sdist: failed (above)" >&2
  exit 1
fi
# Packed again: what a builder writes into a tar's headers is its own affair.
tar --extract --file "$stage/dist/inferd-$version.tar.gz" --directory "$stage/dist"
find "$stage/dist/inferd-$version" -type d -exec chmod 755 {} +
find "$stage/dist/inferd-$version" -type f -exec chmod 644 {} +
tar --create --directory "$stage/dist" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" --format=ustar "inferd-$version" | gzip -n -9 >"$out/inferd-$version.tar.gz"
echo "$out/inferd-$version.tar.gz"
