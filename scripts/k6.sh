#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# k6.sh: build k6 from its Go module, once, into ~/.cache/inferd/tools/bin (INFERD_TOOLS moves it); prints its path.
set -euo pipefail
version=v1.8.1
tools=${INFERD_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/inferd/tools}
if ! "$tools/bin/k6" version 2>/dev/null | grep -q "k6 $version"; then
  command -v go >/dev/null || { echo "k6: Go is needed to build k6 $version; install it (1.24 or newer) and run this again" >&2; exit 3; }
  began=$SECONDS
  mkdir -p "$tools/bin"
  log=$tools/k6.log
  if ! (cd / && GOBIN="$tools/bin" GOFLAGS='' CGO_ENABLED=0 nice go install "go.k6.io/k6@$version") >"$log" 2>&1; then
    grep -v '^go: downloading' "$log" | tail -n 20 >&2
    echo "k6: the build failed (above)" >&2
    exit 1
  fi
  echo "k6: $version in $((SECONDS - began)) s" >&2
fi
echo "$tools/bin/k6"
