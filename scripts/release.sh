#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# release.sh: everything that a release is, in dist/release (RELEASE_OUT): source tarball, Debian packages, wheel, sdist, container images
# as OCI archives, their bills of materials, SHA256SUMS. The same commit gives the same bytes, in any folder, with any umask, time zone
# or locale. RELEASE_PARTS="source deb" makes some; RELEASE_IMAGES and IMAGE_ARCH leave images and architectures out.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC
out=${RELEASE_OUT:-dist/release}
parts=${RELEASE_PARTS:-source deb wheel sdist images}
read -r version epoch revision < <(scripts/source-id.sh)
export SOURCE_DATE_EPOCH=$epoch
began=$SECONDS
case $revision in
  *-dirty) echo "release: the tree has changes that no commit has: what is built is named $revision and is nobody's release" >&2 ;;
esac
scripts/setup.sh build python release >&2
wanted() { [[ " $parts " == *" $1 "* ]]; }
rm -rf "$out"
mkdir -p "$out"
name=inferd-$version

# A tree of files with owners, modes and times that say nothing of this machine.
normal_tar() { # FOLDER NAME: NAME below FOLDER as a tar on standard output
  find "$1/$2" -type d -exec chmod 755 {} +
  find "$1/$2" -type f -exec chmod u+rw,go=u,go-w {} +
  tar --create --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" --format=ustar "$2"
}

sources() { # the names of what git tracks or would; in an unpacked source tarball, of all that was not made since
  if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files -z --cached --others --exclude-standard
  else
    find . -mindepth 1 \( -path ./build -o -path ./dist -o -path ./.venv -o -path ./.cache -o -name __pycache__ \) -prune -o -type f ! -path ./.source-id ! -path ./.env -printf '%P\0'
  fi
}

source_tree() { # FOLDER: the sources as they are in this tree, and the file that says which commit they are
  mkdir -p "$1"
  sources | tar --create --null --files-from=- --format=ustar | tar --extract --directory "$1"
  echo "$epoch $revision" >"$1/.source-id"
}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
if wanted source; then
  source_tree "$stage/source/$name"
  normal_tar "$stage/source" "$name" | gzip -n -9 >"$out/$name.tar.gz"
fi
if wanted deb; then
  for arch in ${IMAGE_ARCH:-amd64 arm64}; do
    binary=$(scripts/release-binary.sh "$arch") || { [ $? -eq 3 ] && continue; exit 1; }
    scripts/deb.sh "$arch" "$binary" "$out" >&2
  done
fi
if wanted wheel || wanted images; then wheel=$(scripts/release-wheel.sh); fi
# the Python package has a folder of its own: its sdist must have the name that the source tarball has too
mkdir -p "$out/python"
if wanted wheel; then cp "$wheel" "$out/python/"; fi
if wanted sdist; then scripts/sdist.sh "$out/python" >&2; fi
if wanted images; then
  images=${RELEASE_IMAGES:-inferd inferd-ray}
  # shellcheck disable=SC2086 # a list of words
  IMAGE_WHEEL=$wheel IMAGE_OUT=$stage/images scripts/image.sh $images >&2
  for image in $images; do
    python3 -B scripts/images archive "$stage/images/$image" "$out/$image-$version.oci.tar" --epoch "$epoch"
    cp "$stage/images/$image"-a*.spdx.json "$out/" # of amd64, arm64
  done
fi
(cd "$out" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum -- >"$stage/sums" && mv "$stage/sums" SHA256SUMS)
chmod 644 "$out/SHA256SUMS"
cat "$out/SHA256SUMS"
echo "release: $name ($revision) in $((SECONDS - began)) s: $out" >&2
