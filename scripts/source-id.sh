#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# source-id.sh: what is built from this tree is named and dated by three words on a line: VERSION EPOCH REVISION. The epoch is the
# commit's time (SOURCE_DATE_EPOCH wins), so that two builds of a commit carry the same times. A source tarball, which
# has no history, has them in .source-id.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^project(inferd VERSION \([0-9.]*\).*/\1/p' engine/CMakeLists.txt)
if [ -f .source-id ]; then
  read -r epoch revision <.source-id
elif revision=$(git rev-parse HEAD 2>/dev/null); then
  epoch=$(git log -1 --format=%ct)
  # what git does not track yet would be in the build too
  if [ -n "$(git status --porcelain)" ]; then revision+=-dirty; fi
else
  echo "source-id: neither a git checkout nor a release's source tarball: set SOURCE_DATE_EPOCH and write '<epoch> <commit>' to .source-id" >&2
  exit 1
fi
echo "$version ${SOURCE_DATE_EPOCH:-$epoch} $revision"
