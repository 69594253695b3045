#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# serve-ray.sh [options]: a local Ray with the service behind Ray's HAProxy, from python/inferd/serve_config.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/ray-venv.sh)
exec "$python" python/rayops/local.py --model "${MODEL:-models/sst2-minilm-l6}" "$@"
