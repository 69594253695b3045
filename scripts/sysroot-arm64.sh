#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sysroot-arm64.sh: Debian's arm64 packages of the libraries that inferd links, unpacked below
# build/sysroot-arm64 for engine/cmake/arm64-linux.cmake. Needs no root: apt keeps its lists in that
# folder too, and neither the architectures of this system nor its packages change.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/build/sysroot-arm64
packages="libuv1-dev libuv1 libutf8proc-dev libutf8proc2 libssl-dev libssl3 libcmocka-dev libcmocka0"
if [ "$(cat "$root/packages" 2>/dev/null)" = "$packages" ]; then
  exit 0
fi

began=$SECONDS
echo "sysroot-arm64: fetching $packages"
rm -rf "$root"
mkdir -p "$root"/apt/{state/lists,cache/archives,debs}
: >"$root/apt/status"
apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Acquire::Languages=none
     -o Dir::State="$root/apt/state" -o Dir::State::status="$root/apt/status"
     -o Dir::Cache="$root/apt/cache" -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
log=$root/apt/log
# An update may fail for a source that has nothing for arm64; what counts is the download.
"${apt[@]}" update >"$log" 2>&1 || true
# shellcheck disable=SC2086 # a list of words
if ! (cd "$root/apt/debs" && "${apt[@]}" download $packages) >>"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "sysroot-arm64: apt-get found no arm64 packages (above); the sources of this system must have that architecture" >&2
  exit 3
fi
for deb in "$root"/apt/debs/*.deb; do
  dpkg-deb -x "$deb" "$root"
done
rm -rf "$root/apt"
echo "$packages" >"$root/packages"
echo "sysroot-arm64: done in $((SECONDS - began)) s"
