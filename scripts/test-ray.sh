#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-ray.sh [pytest options]: the Ray Serve application on a local Ray, and the conformance suite against it
# behind HAProxy and behind Ray's default proxy. Ray comes from PyPI into .venv/ray (some 600 MB, once).
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
python=$PWD/$(scripts/ray-venv.sh)
run() { "$python" -m pytest -c python/pyproject.toml --rootdir python -p no:cacheprovider "$@"; }
# a process for each file: each has a Ray of its own, and a process can have one
for file in python/tests/ray_app/test_*.py; do run "$file" "$@"; done
for kind in ray-haproxy ray-default; do
  echo "conformance: $kind"
  INFERD_CONFORMANCE=$kind run python/tests/conformance "$@"
done
echo "preStop hook of the workers' pods"
(cd platform/tests && "$python" -W ignore -m unittest test_drain)
echo "test-ray: passed in $((SECONDS - began)) s"
