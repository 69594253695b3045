#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# wheel-check.sh: build the wheel, install it into a new environment that has nothing else, and ask it from a
# folder that is not ours, with every Python >= 3.11 that is installed (INFERD_PYTHONS="python3.12 ..." adds some).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
wheel=$root/$(scripts/wheel.sh)
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
tried=0
for python in python3 python3.11 python3.12 python3.13 python3.14 ${INFERD_PYTHONS:-}; do
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
  version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
  [ ! -d "$away/$version" ] || continue
  "$python" -m venv "$away/$version"
  "$away/$version/bin/pip" install -q --disable-pip-version-check --no-index "$wheel"
  answer=$(cd "$away" && "$away/$version/bin/python" -c 'import inferd, sys
model = inferd.Model(sys.argv[1])
print([result.label for result in model.classify(["I love this!", "This is awful."])])' "$root/models/sst2-minilm-l6")
  [ "$answer" = "['POSITIVE', 'NEGATIVE']" ] || { echo "wheel: Python $version answered $answer" >&2; exit 1; }
  echo "wheel: Python $version answers"
  tried=$((tried + 1))
done
[ "$tried" -gt 0 ] || { echo "wheel: no Python >= 3.11 to try it with" >&2; exit 1; }
echo "wheel: ${wheel#"$root"/}"
