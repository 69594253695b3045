#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# faults-ray.sh [options]: python/rayops/faults.py on the present wheel.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/ray-venv.sh)
PYTHONPATH=python/rayops exec "$python" python/rayops/faults.py "$@"
