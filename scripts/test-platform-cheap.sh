#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The platform's tests that need neither Terraform nor a built tool: entries, verbs, secrets in clear text, the installer
# on a mirror of its own, the showcase's commands. `make test` runs them.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
scripts/setup.sh platform
python=$PWD/$(scripts/venv.sh platform platform/requirements.txt)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
cd platform/tests
# Two at a time: most of the time is spent starting processes and waiting for them.
"$python" -m unittest test_admin_tools test_cleartext test_names test_pins test_plan test_repository >"$logs/a" 2>&1 &
first=$!
status=0
"$python" -m unittest test_entries test_infra_verbs test_gitops_verbs test_readme_commands >"$logs/b" 2>&1 || status=1
wait "$first" || status=1
if [ "$status" -ne 0 ]; then
  cat "$logs"/* >&2
  exit 1
fi
count=$(cat "$logs"/* | awk '/^Ran [0-9]+ tests/ {n += $2} END {print n}')
skipped=$(cat "$logs"/* | sed -n 's/^OK (skipped=\([0-9]*\))/\1/p')
echo "test-platform-cheap: $count tests passed${skipped:+, $skipped of them skipped (not root, or no build/inferd)}, in $((SECONDS - began)) s"
