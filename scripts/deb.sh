#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deb.sh ARCH BINARY DIR: DIR/inferd_VERSION_ARCH.deb of that executable and the default model: service, account, configuration, manual.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:?usage: deb.sh ARCH BINARY DIR} binary=$2 out=$3
read -r version epoch _ < <(scripts/source-id.sh)
umask 022
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
maintainer='inferd maintainers <inferd@users.noreply.github.com>'
export LC_ALL=C
from=platform/debian
put() { install -D -m "$1" "$2" "$root/$3"; }

put 755 "$binary" usr/bin/inferd
for file in models/sst2-minilm-l6/*; do put 644 "$file" "usr/share/inferd/$file"; done
put 644 $from/inferd.service lib/systemd/system/inferd.service
put 644 $from/inferd.sysusers usr/lib/sysusers.d/inferd.conf
put 644 $from/inferd.env etc/inferd/inferd.env
for file in README.md CHANGELOG.md; do put 644 $file usr/share/doc/inferd/$file; done
printf 'inferd (%s) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md beside this file.\n\n -- %s  %s\n' \
  "$version" "$maintainer" "$(date --utc --date="@$epoch" '+%a, %d %b %Y %T +0000')" | gzip -n -9 >"$stage/changelog.gz"
put 644 "$stage/changelog.gz" usr/share/doc/inferd/changelog.gz
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: inferd\n\nFiles: *\nCopyright: 2026 the authors of inferd\nLicense: Apache-2.0\n'
  printf ' On Debian systems the licence is in /usr/share/common-licenses/Apache-2.0.\n\n'
  printf 'Files: usr/share/inferd/models/*\nCopyright: 2026, see usr/share/inferd/models/sst2-minilm-l6/NOTICE\nLicense: Apache-2.0\n'
} >"$stage/copyright"
put 644 "$stage/copyright" usr/share/doc/inferd/copyright
for page in docs/man/*.1 docs/man/*.5 docs/man/*.8; do
  [ -f "$page" ] || continue
  gzip -n -9 <"$page" >"$stage/page.gz"
  put 644 "$stage/page.gz" "usr/share/man/man${page##*.}/$(basename "$page").gz"
done

# What it links decides what it depends on: dpkg-shlibdeps reads the symbols and the versions that brought them.
mkdir -p "$stage/source/debian"
printf 'Source: inferd\n\nPackage: inferd\nArchitecture: any\n' >"$stage/source/debian/control"
if [ "$arch" = "$(dpkg --print-architecture)" ]; then
  depends=$(cd "$stage/source" && dpkg-shlibdeps -O "$root/usr/bin/inferd" 2>"$stage/shlibdeps.log" | sed -n 's/^shlibs:Depends=//p')
  [ -n "$depends" ] || { cat "$stage/shlibdeps.log" >&2; echo "deb: dpkg-shlibdeps found no dependencies" >&2; exit 1; }
else
  # cross-built from the same sources with the same library versions; this machine has no symbol files of the other architecture
  depends='libc6 (>= 2.34), libssl3 (>= 3.0.0), libutf8proc2 (>= 2.8.0), libuv1 (>= 1.44.2)'
fi
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: inferd
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(find "$root" -type f ! -path '*/DEBIAN/*' -printf '%s\n' | awk '{n += int(($1 + 1023) / 1024)} END {print n}')
Depends: $depends, systemd | systemd-standalone-sysusers | opensysusers
Section: net
Priority: optional
Description: HTTP server for text classification with BERT-family models
 A tokenizer, an inference engine for CPUs and an HTTP server in one
 executable, with a trained sentiment model. It serves POST /infer, health
 checks and Prometheus metrics, and classifies files on the command line.
CONTROL
echo /etc/inferd/inferd.env >"$root/DEBIAN/conffiles"
install -m 755 $from/postinst $from/prerm $from/postrm "$root/DEBIAN/"
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -type d -exec chmod 755 {} +
find "$root" -exec touch --no-dereference --date="@$epoch" {} +
mkdir -p "$out"
# gzip: the model, most of it, packs no better with xz, which takes ten times as long
SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group -Zgzip -z6 --build "$root" "$out/inferd_${version}_$arch.deb" >/dev/null
echo "$out/inferd_${version}_$arch.deb"
