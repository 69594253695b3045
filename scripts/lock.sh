#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lock.sh: write .terraform.lock.hcl of both roots from the provider's registry, for the platforms that administrators use.
# Commit the result. Terraform checks the registry's signature on the way; nothing is pinned that was not seen there.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v terraform >/dev/null || { echo "lock: terraform is not on PATH; scripts/install_admin_tools.sh installs it" >&2; exit 1; }
for root in platform/infra-bootstrap platform/infra; do
  # A configuration that points at a mirror or a build of one's own must not decide what is pinned for everybody.
  if ! TF_CLI_CONFIG_FILE=/dev/null terraform -chdir="$root" providers lock -platform=linux_amd64 -platform=linux_arm64 -platform=darwin_arm64; then
    echo "lock: the registry could not be reached (above); run this where it can be" >&2
    exit 1
  fi
done
git --no-pager diff --stat -- 'platform/*/.terraform.lock.hcl'
