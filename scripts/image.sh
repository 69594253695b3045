#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# image.sh [NAME...]: the container images of platform/images (all, or those named) as OCI layouts in dist/images, with their bills of
# materials. On Debian 12 nothing but packages is needed; elsewhere the same script runs inside a Debian 12 that docker builds
# (platform/images/Dockerfile), so the bytes are the same. IMAGE_ARCH="amd64" leaves the other architectures out.
set -euo pipefail
cd "$(dirname "$0")/.."
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(inferd inferd-ray)
out=${IMAGE_OUT:-dist/images}
read -r version epoch revision < <(scripts/source-id.sh)

on_debian_12() { grep -qx 'ID=debian' /etc/os-release 2>/dev/null && grep -qx 'VERSION_ID="12"' /etc/os-release; }
if [ "${IMAGE_ENGINE:-}" = docker ] || ! on_debian_12; then
  if ! docker info >/dev/null 2>&1; then
    echo "image: this is not Debian 12 and docker does not answer; either will do" >&2
    exit 3
  fi
  exec docker build --file platform/images/Dockerfile --build-arg "IMAGES=${names[*]}" --build-arg "IMAGE_ARCH=${IMAGE_ARCH:-}" \
    --build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "REVISION=$revision" --build-arg "IMAGE_SOURCE=${IMAGE_SOURCE:-}" --output "type=local,dest=$out" .
fi

began=$SECONDS
# byte code and wheels are of Python 3.11, which Debian 12 has
scripts/setup.sh build python image >&2
python=$(scripts/venv.sh image platform/images/requirements.txt)
arch=()
for one in ${IMAGE_ARCH:-}; do arch+=(--arch "$one"); done
wanted() { [ -z "${IMAGE_ARCH:-}" ] || [[ " $IMAGE_ARCH " == *" $1 "* ]]; }
for name in "${names[@]}"; do
  options=()
  case $name in
    inferd)
      for one in amd64 arm64; do
        if wanted "$one"; then options+=(--binary "$one=$(scripts/release-binary.sh "$one")"); fi
      done
      ;;
    inferd-ray) options+=(--wheel "${IMAGE_WHEEL:-$(scripts/release-wheel.sh)}") ;;
  esac
  "$python" -B scripts/images build "$name" --version "$version" --revision "$revision" --epoch "$epoch" --out "$out" \
    "${options[@]+"${options[@]}"}" "${arch[@]+"${arch[@]}"}"
done
echo "image: done in $((SECONDS - began)) s: $out" >&2
