#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole test suite: what `make test` runs. Sets up, builds, lints the house rules, runs
# ctest and the Python package's tests.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
scripts/setup.sh build test
scripts/build.sh build -DIFD_TESTS=ON
python3 scripts/house.py
ctest --test-dir build --output-on-failure --parallel "${JOBS:-$(nproc)}"
scripts/test-platform-cheap.sh
scripts/test-python.sh
echo "test: all passed in $((SECONDS - began)) s"
