#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# faults-ray.sh SCRIPT [options]: python/rayops/SCRIPT.py (faults or autoscale) on the present wheel.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-faults}
shift || true
[ -f "python/rayops/$name.py" ] || { echo "faults-ray: no script '$name'; there are faults and autoscale" >&2; exit 2; }
python=$(scripts/ray-venv.sh)
PYTHONPATH=python/rayops exec "$python" "python/rayops/$name.py" "$@"
