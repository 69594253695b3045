#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-ui.sh [unittest options]: the page at / in Debian's headless Chromium, driven by playwright
# from PyPI. INFERD_SHOTS=DIR keeps screenshots there.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
scripts/setup.sh build browser
[ -x build/inferd ] || scripts/build.sh build -DIFD_TESTS=OFF
python=$PWD/$(scripts/venv.sh ui engine/tests/ui/requirements.txt)
if [ -n "${INFERD_SHOTS:-}" ]; then
  mkdir -p "$INFERD_SHOTS"
  INFERD_SHOTS=$(realpath "$INFERD_SHOTS")
  export INFERD_SHOTS
fi
export INFERD_BIN=${INFERD_BIN:-$PWD/build/inferd} PYTHONDONTWRITEBYTECODE=1
cd engine/tests/ui
"$python" -m unittest "${@:-test_page}"
echo "test-ui: passed in $((SECONDS - began)) s"
