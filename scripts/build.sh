#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh DIR [cmake options]: configure if needed and build, printing output only on failure.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
shift
began=$SECONDS
mkdir -p "$dir"
log=$dir/build.log
if ! { cmake -S engine -B "$dir" -G Ninja "$@" && cmake --build "$dir" --parallel "${JOBS:-$(nproc)}"; } >"$log" 2>&1; then
  grep -E 'error|Error|FAILED' -A 6 "$log" | head -n 60 >&2 || true
  echo "build: failed; the whole log is $log" >&2
  exit 1
fi
if ! grep -q 'no work to do' "$log"; then
  echo "build: $dir in $((SECONDS - began)) s"
fi
