#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-platform.sh: the cheap tests of the platform, and those that need tools, with the tools that are there (make tools builds
# them; terraform comes with scripts/install_admin_tools.sh). What is not run is printed by number and name, never skipped in
# silence; PLATFORM_STRICT=1 makes it a failure. PLATFORM_CHEAP=0 leaves the cheap ones out, which make test has run;
# PLATFORM_SKIP="test_release cluster" leaves out what it names, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
[ "${PLATFORM_CHEAP:-1}" = 0 ] || scripts/test-platform-cheap.sh
python=$PWD/$(scripts/venv.sh platform platform/requirements.txt)
bin=$(scripts/tools.sh --path)
export INFERD_TOOLS_BIN=$bin
left=()

has() { # what the group asks for -> the first that is missing, or nothing
  local need
  for need in "$@"; do
    case $need in
      terraform) # 1.11: values of a mock known while planning
        if ! command -v terraform >/dev/null || ! printf '%s\n' 1.11.0 "$(terraform version -json 2>/dev/null | sed -n 's/.*"terraform_version": "\(.*\)",/\1/p')" | sort -VC; then
          echo "terraform 1.11 or newer (scripts/install_admin_tools.sh)"
          return
        fi
        ;;
      root) [ "$(id -u)" -eq 0 ] || { echo "root's rights (chroot, runc)"; return; } ;;
      packages:*) # groups of scripts/setup.sh: installed here, as these tests run what they bring
        # shellcheck disable=SC2086 # a list of words
        scripts/setup.sh ${need#packages:} >&2 || { echo "packages ($need)"; return; }
        ;;
      modules) scripts/modules.sh --check >/dev/null || { echo "Go modules (scripts/modules.sh)"; return; } ;;
      *) scripts/tools.sh --check "$need" >/dev/null || { echo "$need (make tools TOOLS=$need)"; return; } ;;
    esac
  done
}

skipped() { [[ " ${PLATFORM_SKIP:-} " == *" $1 "* ]]; }

group() { # MODULE WHAT TOOLS...
  local module=$1 what=$2 missing log count at=$SECONDS
  shift 2
  count=$(grep -cE '^    def test_' "platform/tests/$module.py")
  if skipped "$module"; then
    left+=("$count tests of $what: PLATFORM_SKIP names $module")
    return
  fi
  missing=$(has "$@")
  if [ -n "$missing" ]; then
    left+=("$count tests of $what: no $missing")
    return
  fi
  log=$(mktemp)
  if ! (cd platform/tests && "$python" -m unittest "$module") >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "test-platform: $what failed" >&2
    exit 1
  fi
  grep -vE '^(\.+|-+|Ran .*|OK.*|)$' "$log" || true
  echo "test-platform: $what: $(sed -n 's/^Ran \([0-9]* tests\).*/\1/p' "$log") passed in $((SECONDS - at)) s"
  rm -f "$log"
}

cluster() { # MODULE... WHAT: of platform/tests/cluster, which has a run of its own: scripts/test-cluster.sh
  local what=${*: -1} modules=("${@:1:$#-1}") missing log at=$SECONDS count
  count=$(cd platform/tests/cluster && cat "${modules[@]}" | grep -cE '^def test_')
  if skipped cluster; then
    left+=("$count tests of $what: PLATFORM_SKIP names cluster")
    return
  fi
  if ! missing=$(scripts/test-cluster.sh --check "${modules[@]}"); then
    left+=("$count tests of $what: no $(paste -sd, - <<<"$missing" | sed 's/,/, /g')")
    return
  fi
  log=$(mktemp)
  # a minute and a half to converge on a quiet machine, seven on one that twenty others use
  if ! CLUSTER_TEST_TIMEOUT=${CLUSTER_TEST_TIMEOUT:-1800} scripts/test-cluster.sh "${modules[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "test-platform: $what failed" >&2
    exit 1
  fi
  grep -E '^(admission|kuberay|flux): ' "$log" || true
  echo "test-platform: $what: $(sed -n 's/^\([0-9]* passed[^i]*\) in .*/\1/p' "$log") in $((SECONDS - at)) s"
  rm -f "$log"
}

group test_sops_real "SOPS against a stand-in of Cloud KMS, and age" sops age
group test_terraform "Terraform's roots" terraform terraform-provider-google
group test_real_plan "plans of the real provider" terraform terraform-provider-google
group test_checkov "checkov's policies" checkov
group test_workflows "workflows, actionlint, kustomize" actionlint kustomize
group test_push "pushes into a registry" crane
group test_k6_job "the load test's Job by k6" k6
group test_image_runs "the images, run by runc" root "packages:image image-test arm64"
group test_image_docker "the Dockerfile's lines without docker" "packages:image"
group test_release "two releases, the Debian package" root "packages:release release-test arm64"
group test_k6 "k6's scenarios on servers with faults" k6
scripts/setup.sh monitoring
group test_alert_mutants "broken twins of the alerts"
if [ -x .venv/go/bin/go ]; then export INFERD_GO=$PWD/.venv/go/bin/go; fi # as scripts/tools.sh installs it
if [ -n "${INFERD_GO:-$(command -v go || true)}" ]; then
  group test_grafana_schema "dashboards by Grafana's own schema"
else
  left+=("2 tests of dashboards by Grafana's own schema: no go (make tools)")
fi
[ -x build/inferd ] || scripts/build.sh build -DIFD_TESTS=OFF
if [ -f .venv/ray/requirements.installed ]; then
  scripts/ray-venv.sh >/dev/null # with the present wheel
else
  left+=("the Ray node of test_monitoring_live: no .venv/ray (scripts/ray-venv.sh)")
fi
group test_monitoring_live "rules and dashboards on live servers"
group test_manifests "what Flux applies: builds, schemas, upstream's folders" kustomize kubeconform modules
group test_policy "rules of the manifests" kustomize conftest
group test_gateway "gateway, policies and routes in Envoy Gateway's translator" egctl kustomize
group test_charts "charts with our values" helm kustomize kubeconform modules
cluster test_admission.py test_kuberay.py "the API server and KubeRay"
cluster test_flux.py "Flux's controllers on clusters/local"
for line in "${left[@]+"${left[@]}"}"; do echo "test-platform: NOT RUN: $line"; done
echo "test-platform: passed in $((SECONDS - began)) s, ${#left[@]} groups not run"
[ "${PLATFORM_STRICT:-}" != 1 ] || [ ${#left[@]} -eq 0 ]
