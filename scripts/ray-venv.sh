#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ray-venv.sh: the environment with Ray and the present wheel in it; prints its python.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x build/inferd ] || scripts/build.sh build -DIFD_TESTS=OFF >&2
wheel=$(scripts/wheel.sh)
python=$(scripts/venv.sh ray python/requirements-ray.txt)
"$python" -m pip install -q --disable-pip-version-check --force-reinstall --no-deps "$wheel" >&2
echo "$python"
