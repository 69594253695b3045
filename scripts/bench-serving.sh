#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench-serving.sh [SCRIPT [options]]: one of engine/bench/serving/SCRIPT.py, its figures also as JSON in
# build/results/. Installs torch and uvicorn into .venv/peer for --peer. Does not install nginx for overhead:
# Debian's package starts a service on port 80, which is for the machine's owner to decide.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-overhead}
shift || true
[ -f "engine/bench/serving/$name.py" ] || { echo "bench-serving: no script '$name'; there are overhead, overload, fairness, swap, drain, cancel, idle, memory and law" >&2; exit 2; }
case "$*" in
  *--peer*) scripts/venv.sh peer engine/bench/serving/requirements-peer.txt >/dev/null ;;
esac
mkdir -p build/results
exec python3 "engine/bench/serving/$name.py" --json "build/results/serving-$name.json" "$@"
