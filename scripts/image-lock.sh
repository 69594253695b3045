#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# image-lock.sh [NAME...]: write the locks of the images (platform/images/*/*.lock) from what the registries have now. Review and commit them.
set -euo pipefail
cd "$(dirname "$0")/.."
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(inferd inferd-ray)
scripts/setup.sh python >&2
python=$(scripts/venv.sh image platform/images/requirements.txt)
for name in "${names[@]}"; do "$python" -B scripts/images lock "$name"; done
git --no-pager diff --stat -- platform/images
