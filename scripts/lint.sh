#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# House rules, C formatting, shell scripts.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 scripts/house.py
mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.c' '*.h')
clang-format-14 --dry-run -Werror "${sources[@]}"
mapfile -t shells < <(git ls-files --cached --others --exclude-standard '*.sh' '.ci/run')
shellcheck "${shells[@]}"
echo "lint: ${#sources[@]} C files, ${#shells[@]} shell scripts, clean"
