#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# wheel.sh: build dist/inferd-*.whl with the engine of build/ in it, linked statically. Prints the wheel's path.
# INFERD_PYTHON picks the interpreter whose headers are used (any >= 3.11 gives the same abi3 wheel). INFERD_BUILD and INFERD_DIST: other
# folders than build and dist, each with its own CFLAGS.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
build=${INFERD_BUILD:-build}
dist=${INFERD_DIST:-dist}
scripts/setup.sh build python wheel >&2
[ -f "$build/libinferd.a" ] || scripts/build.sh "$build" -DIFD_TESTS=OFF >&2
cmake --build "$build" --target inferd_static >"$build/wheel.log" 2>&1 || { tail -n 20 "$build/wheel.log" >&2; echo "wheel: the engine failed to build" >&2; exit 1; }
python=$(scripts/venv.sh wheel python/requirements-build.txt)
rm -rf "$build/wheel"
mkdir -p "$build/wheel" "$dist"
if ! PATH="$(dirname "$python"):$PATH" "$python" -m build --wheel --no-isolation --outdir "$build/wheel" \
    -C build-dir="$PWD/$build/python" -C cmake.define.INFERD_LIBRARY="$PWD/$build/libinferd.a" python >>"$build/wheel.log" 2>&1; then
  grep -E 'error|Error' -A 6 "$build/wheel.log" | head -n 60 >&2 || tail -n 30 "$build/wheel.log" >&2
  echo "wheel: failed; the whole log is $build/wheel.log" >&2
  exit 1
fi
rm -f "$dist"/inferd-*.whl
# names the oldest glibc that it runs on, and refuses a library that it would have to bring along
PATH="$(dirname "$python"):$PATH" "$python" -m auditwheel repair --wheel-dir "$dist" "$build"/wheel/*.whl >>"$build/wheel.log" 2>&1 || {
  tail -n 20 "$build/wheel.log" >&2; exit 1; }
echo "wheel: $(basename "$dist"/inferd-*.whl) in $((SECONDS - began)) s" >&2
echo "$dist"/inferd-*.whl
