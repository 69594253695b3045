#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# load.sh [options]: python/rayops/load.py with k6 and Ray at hand. TORCH=1 installs the torch baselines too
# (some 5 GB from PyPI); without it, and unless they are there already, they are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/ray-venv.sh)
scripts/tools.sh k6 >&2
k6=$(scripts/tools.sh --path)/k6
if [ "${TORCH:-0}" = 1 ]; then
  cat python/requirements-ray.txt python/requirements-ray-torch.txt >build/requirements-ray-torch.txt
  scripts/venv.sh ray-torch build/requirements-ray-torch.txt >/dev/null
fi
systems=()
case "$*" in
  *--systems*) ;;
  *)
    systems=(--systems)
    if [ -x .venv/ray-torch/bin/python ]; then
      systems+=(torch-as-was torch)
    else
      echo "load: without the torch baselines (TORCH=1 installs them)" >&2
    fi
    systems+=(ray-default ray-haproxy c)
    ;;
esac
PYTHONPATH=python/rayops exec "$python" python/rayops/load.py --k6 "$k6" "${systems[@]}" "$@"
