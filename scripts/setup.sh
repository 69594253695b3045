#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages of the groups named, once. Prints what it installs and how long it
# took; silent when nothing is missing. Without root or sudo it prints the line to run and exits 3.
set -euo pipefail

declare -A group=(
  [build]="gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libutf8proc-dev libssl-dev libcurl4-openssl-dev"
  [test]="g++ libcmocka-dev python3 curl git binutils openssl mandoc man-db groff fish zsh shellcheck"
  [lint]="clang-format-14 shellcheck python3"
  [fuzz]="clang-14 libclang-rt-14-dev llvm-14"
  [arm64]="gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
  [parity]="unicode-data"
  [python]="python3 python3-venv"
  [platform]="binutils git make curl gnupg openssl openssh-client ca-certificates"
  [cluster]="etcd-server iproute2 util-linux git openssl"
  [browser]="python3 python3-venv chromium fonts-dejavu-core"
  [wheel]="python3-dev"
  [monitoring]="prometheus prometheus-alertmanager" # with promtool and amtool; disable their services where systemd starts them
  [image]="binutils ca-certificates"
  [image-test]="runc umoci skopeo iproute2"
  [release]="dpkg-dev gzip xz-utils"
  [release-test]="mmdebstrap lintian"
)

missing=()
for name in "$@"; do
  [ -n "${group[$name]:-}" ] || { echo "setup: no package group '$name' (known: ${!group[*]})" >&2; exit 2; }
  for package in ${group[$name]}; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: this is not a Debian system; install the equals of: ${missing[*]}" >&2
  exit 3
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo)
  elif command -v sudo >/dev/null && [ -t 0 ]; then
    as_root=(sudo)
  else
    echo "setup: not root and no sudo; please run: apt-get update && apt-get install -y ${missing[*]}" >&2
    exit 3
  fi
fi

began=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: installing ${missing[*]}"
if ! { "${as_root[@]}" apt-get update -q &&
       "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed (above); fix that and run the same command again" >&2
  exit 3
fi
echo "setup: done in $((SECONDS - began)) s"
