#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench-ray.sh [options]: python/rayops/bench.py with k6 and Ray at hand. TORCH=1 installs the torch baseline too
# (some 5 GB from PyPI); without it, and unless it is there already, the baseline is left out.
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
    [ ! -x .venv/ray-torch/bin/python ] || systems+=(torch)
    systems+=(ray-default ray-haproxy-batch ray-haproxy c)
    [ "${#systems[@]}" -gt 5 ] || echo "bench-ray: without the torch baseline (TORCH=1 installs it)" >&2
    ;;
esac
PYTHONPATH=python/rayops exec "$python" python/rayops/bench.py --k6 "$k6" "${systems[@]}" "$@"
