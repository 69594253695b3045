#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# release-binary.sh ARCH (amd64 or arm64): build/release-ARCH/inferd.stripped, the same bytes from any folder: paths of this machine
# are mapped away, and the debug information, which names the compiler's flags, is stripped. ARM64 is cross-built on an x86-64 machine.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:?usage: release-binary.sh amd64|arm64}
own=$(dpkg --print-architecture)
dir=build/release-$arch
strip_with="strip"
options=(-DIFD_TESTS=OFF -DCMAKE_BUILD_TYPE=Release -DCMAKE_SKIP_RPATH=ON "-DCMAKE_C_FLAGS=-ffile-prefix-map=$PWD=.")
if [ "$arch" != "$own" ]; then
  if [ "$own/$arch" != amd64/arm64 ]; then
    echo "release-binary: $arch cannot be built on $own; run this on a machine of that architecture" >&2
    exit 3
  fi
  scripts/setup.sh build arm64 >&2
  scripts/sysroot-arm64.sh >&2
  options+=("-DCMAKE_TOOLCHAIN_FILE=$PWD/engine/cmake/arm64-linux.cmake")
  strip_with=aarch64-linux-gnu-strip
else
  scripts/setup.sh build >&2
fi
# What a compiler cache holds may be from another folder, whose name is in the debug information and so in the build id.
CCACHE_DISABLE=1 LC_ALL=C scripts/build.sh "$dir" "${options[@]}" >&2
"$strip_with" --strip-all --remove-section=.comment -o "$dir/inferd.stripped" "$dir/inferd"
echo "$dir/inferd.stripped"
