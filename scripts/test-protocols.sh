#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-protocols.sh [pytest options]: other people's clients and validators against the server, in an
# environment of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
[ -x build/inferd ] || scripts/build.sh build -DIFD_TESTS=OFF
python=$(scripts/venv.sh protocols engine/tests/protocols/requirements.txt)
PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -q -p no:cacheprovider engine/tests/protocols "$@"
echo "test-protocols: passed in $((SECONDS - began)) s"
