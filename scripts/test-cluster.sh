#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-cluster.sh [PYTEST ARGUMENTS]: the tests of platform/tests/cluster, against a real API server and real controllers, in
# namespaces of their own: a network without uplink, their own mounts and processes. The kernel ends all of it with the first
# process; nothing outside changes. Needs root, etcd (scripts/setup.sh cluster) and the tools of platform/tools.lock named here.
#   --check [FILE...]  run nothing: say what is missing, exit 1 if anything is
set -euo pipefail
cd "$(dirname "$0")/.."
needs=(kubernetes kustomize-controller ray-operator kustomize sops age) # notification-controller if it is built
limit=${CLUSTER_TEST_TIMEOUT:-900}

if [ "${1:-}" = --check ]; then
  case " $* " in *test_flux.py*) needs+=(helm-controller) ;; esac
  status=0
  say() { echo "$1"; status=1; }
  [ "$(id -u)" -eq 0 ] || say "root, for network namespaces"
  command -v etcd >/dev/null || say "etcd (scripts/setup.sh cluster)"
  command -v ip >/dev/null || say "ip (scripts/setup.sh cluster)"
  for tool in "${needs[@]}"; do scripts/tools.sh --check "$tool" >/dev/null || say "$tool (make tools TOOLS=$tool)"; done
  scripts/modules.sh --check >/dev/null || say "modules of platform/modules.lock (scripts/modules.sh)"
  if [ "$status" = 0 ]; then unshare --net --mount --pid --fork --kill-child true 2>/dev/null || say "namespaces (unshare is refused here)"; fi
  exit $status
fi

scripts/modules.sh >/dev/null
python=$PWD/$(scripts/venv.sh cluster platform/tests/cluster/requirements.txt)
INFERD_TOOLS_BIN=$(scripts/tools.sh --path)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export INFERD_TOOLS_BIN INFERD_CLUSTER_SANDBOX=1 PYTHONDONTWRITEBYTECODE=1
cd platform/tests/cluster
timeout --kill-after=20 "$limit" unshare --net --mount --pid --fork --kill-child=KILL --mount-proc \
  "$python" -m pytest -q --tb=short -p no:cacheprovider --basetemp="$scratch/run" "$@"
