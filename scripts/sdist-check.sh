#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sdist-check.sh: make the sdist, then build and install it in a new environment and a folder that is not ours, and
# ask what was installed. The control, the same sdist without the engine, must not build.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
root=$PWD
scripts/setup.sh build python wheel >&2
sdist=$(scripts/sdist.sh)
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
cd "$away"
python3 -m venv venv
install() { venv/bin/pip install -v --disable-pip-version-check "$@" >pip.log 2>&1; }

mkdir control
tar -xzf "$sdist" -C control
name=$(basename control/*)
rm -r "control/$name/engine/src/kernels"
if install "$away/control/$name"; then
  echo "sdist: the control without engine/src/kernels was built: this check sees nothing" >&2
  exit 1
fi
grep -q '"src/kernels"' pip.log || { tail -n 20 pip.log >&2; echo "sdist: the control failed for another reason" >&2; exit 1; }

install "$sdist" || { tail -n 30 pip.log >&2; echo "sdist: it does not build outside the repository" >&2; exit 1; }
if grep -F "$root/engine" pip.log >&2 || grep -F "$root/python" pip.log >&2; then
  echo "sdist: the build looked into the repository (above)" >&2
  exit 1
fi
if readelf -d venv/lib/python3*/site-packages/inferd/_engine.abi3.so | grep -q utf8proc; then
  echo "sdist: the extension is linked to the system's utf8proc instead of libutf8proc.a" >&2
  exit 1
fi
answer=$(venv/bin/python -c 'import inferd, sys
model = inferd.Model(sys.argv[1])
print([result.label for result in model.classify(["I love this!", "This is awful."])])' "$root/models/sst2-minilm-l6")
[ "$answer" = "['POSITIVE', 'NEGATIVE']" ] || { echo "sdist: what was built from it answered $answer" >&2; exit 1; }
echo "sdist: ${sdist#"$root"/} builds and answers in a clean environment, without its engine it does not ($((SECONDS - began)) s)"
