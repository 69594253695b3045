#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh: speed beside ONNX Runtime, OpenVINO, CTranslate2 and PyTorch on SST-2 dev, one core.
# Options go to engine/bench/bench.py (--threads 2, --no-amx, --tier avx512vnni, --engines ours-int8 ort-int8 ..).
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/venv.sh bench engine/bench/requirements.txt)
cmake --build build --target inferd_bench >build/bench.log || { tail -n 40 build/bench.log >&2; exit 1; }
exec "$python" engine/bench/bench.py --library build/libinferd_bench.so --model "${MODEL:-models/sst2-minilm-l6}" \
  --texts models/eval/sst2-dev.tsv --out build/results/bench "$@"
