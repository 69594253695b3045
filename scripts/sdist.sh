#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sdist.sh: dist/inferd-*.tar.gz, the package's sources with the C engine's inside. Prints its path.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/venv.sh wheel python/requirements-build.txt)
mkdir -p build dist
rm -f dist/inferd-*.tar.gz
"$python" -m build --sdist --no-isolation --outdir dist python >build/sdist.log 2>&1 || {
  tail -n 20 build/sdist.log >&2
  echo "sdist: failed; the whole log is build/sdist.log" >&2
  exit 1
}
echo dist/inferd-*.tar.gz
