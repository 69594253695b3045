#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# release-wheel.sh: build/release-wheel/inferd-*.whl, the same bytes from any folder, with any umask. Prints its path.
set -euo pipefail
cd "$(dirname "$0")/.."
read -r _ epoch _ < <(scripts/source-id.sh)
umask 022
CCACHE_DISABLE=1 LC_ALL=C SOURCE_DATE_EPOCH=$epoch INFERD_BUILD=build/release-python INFERD_DIST=build/release-wheel \
  CFLAGS="-ffile-prefix-map=$PWD=." scripts/wheel.sh >/dev/null
wheel=$(echo build/release-wheel/inferd-*.whl)
python3 -B scripts/images wheel "$wheel" --epoch "$epoch"
echo "$wheel"
