#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh: fp32 speed beside ONNX Runtime on SST-2 dev, one core. Options go to engine/bench/peers.py.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/venv.sh bench engine/bench/requirements.txt)
mkdir -p build/results
exec "$python" engine/bench/peers.py --library build/libinferd.so --model "${MODEL:-models/sst2-minilm-l6}" \
  --texts models/eval/sst2-dev.tsv --csv build/results/bench-fp32.csv "$@"
