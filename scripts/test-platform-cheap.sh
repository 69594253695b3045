#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The platform's tests that need neither Terraform nor a built tool: entries, verbs, secrets in clear text, the installer
# on a mirror of its own, the showcase's commands. `make test` runs them.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
scripts/setup.sh platform
python=$PWD/$(scripts/venv.sh platform platform/requirements.txt)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cd platform/tests
"$python" -m unittest test_entries test_infra_verbs test_gitops_verbs test_cleartext test_plan test_repository test_admin_tools test_readme_commands >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
count=$(sed -n 's/^Ran \([0-9]*\) tests.*/\1/p' "$log")
skipped=$(sed -n 's/^OK (skipped=\([0-9]*\))/\1/p' "$log")
echo "test-platform-cheap: $count tests passed${skipped:+, $skipped of them skipped (not root)}, in $((SECONDS - began)) s"
