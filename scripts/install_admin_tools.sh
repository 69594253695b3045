#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install_admin_tools.sh [--check]: gcloud with its GKE plugin, kubectl, terraform, helm, k6, age, sops and flux on Debian, from
# the sources of platform/admin-tools.txt. What is there already stays. Nothing unsigned is installed: an apt repository's key
# must have the fingerprint that the table names, and a release's sums must be signed by its own build (cosign says), before
# the file is checked against them. Nothing from the network is run by a shell.
#   --check  install nothing: each tool with its version; exit 1 when one is missing
# For tests: INFERD_ADMIN_TABLE another table, INFERD_ADMIN_ROOT another root folder, INFERD_ADMIN_MIRROR a URL before each.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
table=${INFERD_ADMIN_TABLE:-$here/../platform/admin-tools.txt}
root=${INFERD_ADMIN_ROOT:-}
issuer=https://token.actions.githubusercontent.com

fail() { echo "admin-tools: $*" >&2; exit 1; }
there() { if [ -n "$root" ]; then [ -x "$root/usr/bin/$1" ] || [ -x "$root/usr/local/bin/$1" ]; else command -v "$1" >/dev/null; fi; }
at() { if [ -n "${INFERD_ADMIN_MIRROR:-}" ]; then echo "$INFERD_ADMIN_MIRROR/${1#https://}"; else echo "$1"; fi; }
get() { curl -fsSL --retry 2 --connect-timeout 20 --max-time 600 -o "$2" "$(at "$1")" || fail "cannot fetch $1"; }

version() {
  case $1 in
    gcloud) "$1" version | head -n 1 ;;
    kubectl) "$1" version --client | head -n 1 ;;
    helm) "$1" version --short ;;
    k6 | terraform) "$1" version | head -n 1 ;;
    *) "$1" --version 2>&1 | head -n 1 ;;
  esac
}

programs() { # every program of the table
  awk '$1 == "apt" || $1 == "debian" {n = split($3, p, ","); for (i = 1; i <= n; i++) {sub("=.*", "", p[i]); print p[i]}} $1 == "release" {print $2}' "$table"
}

if [ "${1:-}" = --check ]; then
  status=0
  while read -r program; do
    if there "$program"; then echo "$program: $([ -n "$root" ] && echo there || version "$program" || echo 'does not start')"; else
      echo "$program: missing"
      status=1
    fi
  done < <(programs)
  exit $status
elif [ $# -gt 0 ]; then
  echo "admin-tools: no option '$1'; there is --check" >&2
  exit 2
fi

case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) fail "no releases for $(uname -m)" ;; esac
command -v apt-get >/dev/null || fail "this is not a Debian system; platform/admin-tools.txt says where each tool comes from"
[ "$(id -u)" = 0 ] || fail "must be root: sudo $0"
for need in curl gpg; do command -v "$need" >/dev/null || fail "$need is missing: apt-get install -y curl gnupg ca-certificates"; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
apt=(apt-get -q)
if [ -n "$root" ]; then
  apt+=(-o "Dir=$root" -o "Dir::State::status=$root/var/lib/dpkg/status" -o "Dir::Bin::Methods=/usr/lib/apt/methods" -o "Dir::Bin::solvers::=/usr/lib/apt/solvers"
    -o "DPkg::Options::=--root=$root" -o "APT::Sandbox::User=root" -o "Acquire::Languages=none" -o "DPkg::Use-Pty=0")
fi
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }; }

packages_missing() { # PROGRAM=PACKAGE,... -> the packages whose program is not there
  local pair
  for pair in ${1//,/ }; do there "${pair%%=*}" || echo "${pair#*=}"; done
}

from_apt() { # NAME PAIRS URL SUITE COMPONENT KEY-URL FINGERPRINT
  local name=$1 missing key found ring=$root/etc/apt/keyrings/inferd-$1.gpg
  missing=$(packages_missing "$2")
  [ -n "$missing" ] || return 0
  key=$work/$name.key
  get "$6" "$key"
  # The file may hold older keys too; the repository is trusted by the one that is named, and by no other.
  found=$(gpg --batch --show-keys --with-colons "$key" 2>/dev/null | awk -F: '$1 == "pub" {p = 1} $1 == "fpr" && p {print $10; p = 0}')
  grep -qx "$7" <<<"$found" || fail "$name: the key at $6 is ${found:-no key}, not $7; nothing was installed from it. If the vendor has changed its key, its documentation names the new one: put that into platform/admin-tools.txt"
  export GNUPGHOME=$work/gnupg-$name
  mkdir -p "$(dirname "$ring")" "$root/etc/apt/sources.list.d"
  mkdir -m 700 "$GNUPGHOME"
  quietly gpg --batch --import "$key" || fail "$name: its key cannot be read"
  gpg --batch --export "$7" >"$ring" 2>/dev/null
  gpgconf --kill all 2>/dev/null || true
  unset GNUPGHOME
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n' "$(at "$3")" "$4" "$5" "$ring" >"$root/etc/apt/sources.list.d/inferd-$name.sources"
  # apt-get update only warns of a repository that it does not trust, and goes on with what it had.
  if ! quietly "${apt[@]}" update -o APT::Update::Error-Mode=any; then
    rm -f "$root/etc/apt/sources.list.d/inferd-$name.sources"
    fail "$name: apt does not accept $3 (above); its source was taken out again"
  fi
  # shellcheck disable=SC2086
  quietly env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends $missing || fail "$name: apt could not install ${missing//$'\n'/ } (above)"
  echo "admin-tools: installed ${missing//$'\n'/ }"
}

cosign_ready() {
  if command -v cosign >/dev/null; then cosign=cosign; return; fi
  "$here/tools.sh" cosign >&2 || fail "cosign is not there, and could not be built: install it from your distribution"
  cosign=$("$here/tools.sh" --path)/cosign
}

from_release() { # NAME VERSION URL FILE SUMS SIGNER
  local name=$1 url=${3//\{v\}/$2} file=${4//\{v\}/$2} sums=${5//\{v\}/$2} signer=${6//\{v\}/$2} dir=$work/$1 proof
  there "$name" && return 0
  file=${file//\{arch\}/$arch}
  cosign_ready
  mkdir "$dir"
  get "$url/$sums" "$dir/$sums"
  # Newer releases carry the signature as a bundle, older ones as two files.
  if curl -fsSL --connect-timeout 20 --max-time 60 -o "$dir/bundle" "$(at "$url/${sums%.txt}.sigstore.json")" 2>/dev/null; then proof=(--bundle "$dir/bundle"); else
    local stem=$sums
    curl -fsIL --connect-timeout 20 --max-time 60 "$(at "$url/$sums.sig")" >/dev/null 2>&1 || stem=${sums%.txt}
    get "$url/$stem.sig" "$dir/sig"
    get "$url/$stem.pem" "$dir/pem"
    proof=(--signature "$dir/sig" --certificate "$dir/pem")
  fi
  quietly "$cosign" verify-blob "$dir/$sums" "${proof[@]}" --certificate-identity "$signer" --certificate-oidc-issuer "$issuer" ||
    fail "$name: $sums is not signed by $signer (above); nothing was installed"
  get "$url/$file" "$dir/$file"
  grep -E "^[0-9a-f]{64} [ *]$file\$" "$dir/$sums" >"$dir/one" || fail "$name: $sums does not list $file"
  (cd "$dir" && sha256sum --status -c one) || fail "$name: $file is not the file that its signed sums name; nothing was installed"
  case $file in *.tar.gz) tar -xzf "$dir/$file" -C "$dir" "$name" ;; *) mv "$dir/$file" "$dir/$name" ;; esac
  install -D -m 755 "$dir/$name" "$root/usr/local/bin/$name"
  echo "admin-tools: installed $name $2"
}

while read -r kind name a b c d e f; do
  case $kind in
    '' | \#*) ;;
    apt) from_apt "$name" "$a" "$b" "$c" "$d" "$e" "$f" ;;
    debian)
      missing=$(packages_missing "$a")
      if [ -n "$missing" ]; then
        # shellcheck disable=SC2086
        { quietly "${apt[@]}" update && quietly env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends $missing; } || fail "$name: apt could not install $missing (above)"
        echo "admin-tools: installed $missing"
      fi
      ;;
    release) from_release "$name" "$a" "$b" "$c" "$d" "$e" ;;
    *) fail "$table: no kind '$kind'" ;;
  esac
done <"$table"
echo "admin-tools: all of $(programs | tr '\n' ' ')are there"
