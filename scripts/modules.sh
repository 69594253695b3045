#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# modules.sh [--check] [NAME...]: download the Go modules of platform/modules.lock, all of them or those named, and print a line
# "NAME FOLDER" for each. A module whose hash is not the lock's is refused.
#   --check  download nothing: a line for each module that is not in the module cache, exit 1 if there is one
set -euo pipefail
cd "$(dirname "$0")/.."
lock=platform/modules.lock
check=
if [ "${1:-}" = --check ]; then check=1; shift; fi
status=0
known=()
go=
while read -r name module version hash; do
  [[ -n "$name" && "$name" != \#* ]] || continue
  known+=("$name")
  if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
  if [ -n "$check" ] && ! command -v go >/dev/null && [ ! -x .venv/go/bin/go ]; then echo "$name $version is not downloaded"; status=1; continue; fi
  [ -n "$go" ] || go=$(scripts/go.sh)
  got=$(cd / && { [ -z "$check" ] || export GOPROXY=off; GOFLAGS=-mod=mod "$go" mod download -json "$module@$version"; } 2>/dev/null) || true
  sum=$(sed -n 's/^\t"Sum": "\(.*\)",$/\1/p' <<<"$got")
  if [ -z "$sum" ] && [ -n "$check" ]; then echo "$name $version is not downloaded"; status=1; continue; fi
  if [ "$sum" != "$hash" ]; then
    echo "modules: $name: the hash of $module@$version is '${sum:-not to be had}', the lock says '$hash'" >&2
    status=1
    continue
  fi
  [ -n "$check" ] || echo "$name $(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$got")"
done <"$lock"
for name in "$@"; do
  [[ " ${known[*]} " == *" $name "* ]] || { echo "modules: no module '$name' in $lock; there are ${known[*]}" >&2; exit 2; }
done
exit $status
