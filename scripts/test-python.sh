#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-python.sh [pytest options]: the wheel's tests in an environment that has the wheel and nothing of the
# source tree. INFERD_TEST_CALLS sets the calls of the leak test.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
[ -x build/inferd ] || scripts/build.sh build -DIFD_TESTS=OFF
wheel=$(scripts/wheel.sh)
python=$(scripts/venv.sh python-test python/requirements-test.txt)
"$python" -m pip install -q --disable-pip-version-check --force-reinstall --no-deps "$wheel"
"$python" -m pytest -c python/pyproject.toml --rootdir python -p no:cacheprovider -m 'not ray' python/tests "$@"
echo "test-python: passed in $((SECONDS - began)) s"
