#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# venv.sh NAME REQUIREMENTS: a virtual environment .venv/NAME with those PyPI packages, made once and
# again when the file changes. Prints the path of its python. The system's Python stays untouched.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=.venv/$1
if ! cmp -s "$2" "$dir/requirements.installed"; then
  scripts/setup.sh python >&2
  began=$SECONDS
  echo "venv: installing $2 into $dir" >&2
  [ -x "$dir/bin/python" ] || python3 -m venv "$dir" >&2
  "$dir/bin/pip" install -q --disable-pip-version-check -r "$2" >&2
  cp "$2" "$dir/requirements.installed"
  echo "venv: done in $((SECONDS - began)) s" >&2
fi
echo "$dir/bin/python"
