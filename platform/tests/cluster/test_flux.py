# SPDX-License-Identifier: Apache-2.0
"""platform/clusters/local from a git repository on this machine into an empty cluster, and what happens afterwards: each test
goes on where the one before it left off, and leaves everything ready.
"""

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import yaml

from api import ApiError, condition, wait
from controlplane import ControlPlane
from fluxworld import FLUX, HELM, KUSTOMIZE, SECRETS, Flux, Object
from rayservice import Service
from sources import seconds

WANTED = f"{SECRETS}/wanted.yaml"


@pytest.fixture(scope="module")
def flux(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flux]:
    flux = Flux(plane, tmp_path_factory.mktemp("fork"))
    try:
        flux.start()
        yield flux
    finally:
        flux.stop()


def test_converges_from_a_clean_clone(flux: Flux, note: Callable[[str], None]) -> None:
    expected = {k["metadata"]["name"] for k in stages(flux)}
    wait(lambda: expected <= set(flux.all()) and not flux.unready(), 240, f"{len(expected)} stages and what they bring are ready", flux.unready)
    releases = flux.api.list(HELM, "HelmRelease")
    wait(lambda: all(condition(r, "Ready").get("status") == "True" for r in flux.api.list(HELM, "HelmRelease")), 60, "Helm releases are ready",
         lambda: {r["metadata"]["name"]: condition(r, "Ready") for r in flux.api.list(HELM, "HelmRelease")})
    done = time.monotonic() - flux.began
    total = sum(len(k["status"]["inventory"]["entries"]) for k in flux.all().values())
    note(f"flux: clusters/local converged from an empty cluster in {done:.0f} s: {len(flux.all())} Kustomizations, {total} objects, {len(releases)} Helm releases")
    note("flux: ready after (s): " + ", ".join(f"{n} {t - flux.began:.0f}" for n, t in sorted(flux.times.ready.items(), key=lambda i: i[1])))
    note(f"flux: run: {', '.join(sorted(flux.controllers))}")
    if "helm-controller" not in flux.running:
        note("flux: NOT RUN: helm-controller is not built (make tools TOOLS=helm-controller); Helm releases were only said to be ready")
    note(f"flux: charts that could not be had, stood in for by an empty one: {', '.join(sorted(flux.sources.not_rendered)) or 'none'}"
         + (f"; not in the tree: {', '.join(flux.missing)}" if flux.missing else ""))
    service = Service(flux.api, "inferd")
    assert service.settled(), "the RayService serves"


def stages(flux: Flux) -> list[Object]:
    """The Kustomizations of clusters/local/stages, as kustomize builds them."""
    out = subprocess.run([str(flux.plane.programs / "kustomize"), "build", str(flux.repository.tree / "platform/clusters/local/stages")],
                         check=True, capture_output=True, text=True).stdout
    return [o for o in yaml.safe_load_all(out) if o["apiVersion"] == KUSTOMIZE]


def test_order(flux: Flux, note: Callable[[str], None]) -> None:
    """No stage applied anything before those it depends on were ready."""
    pairs = [(k["metadata"]["name"], d["name"]) for k in stages(flux) for d in k["spec"].get("dependsOn", [])]
    assert len(pairs) >= 10
    early = [(k, d) for k, d in pairs if flux.times.applied[k] < flux.times.ready[d] - 0.5]
    assert not early, early
    note(f"flux: {len(pairs)} dependsOn kept")


def test_push_to_applied(flux: Flux, note: Callable[[str], None]) -> None:
    """A stage without dependencies, so that Flux's own pauses between stages are not in the figure."""
    file, taken = "platform/apps/policies/priorities.yaml", []
    for number in range(3):
        change = flux.replace(file, r"^description: .*$", f"description: changed {number}")
        commit = flux.repository.commit(change)
        began = time.monotonic()
        flux.request(FLUX, "GitRepository", "source.toolkit.fluxcd.io/v1")
        wait(lambda n=number: flux.api.get("scheduling.k8s.io/v1", "PriorityClass", None, "serving")["description"] == f"changed {n}", 30, "the change is applied")
        taken.append(time.monotonic() - began)
    note(f"flux: from git push, with the source asked to look, to applied: {', '.join(f'{t:.1f}' for t in taken)} s")
    flux.settle(commit)


def test_drift_is_put_back(flux: Flux) -> None:
    """Somebody's kubectl edit: a changed field, an added rule, a deleted object."""
    policy = flux.api.get("networking.k8s.io/v1", "NetworkPolicy", "inferd", "inferd")
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **policy}
    wanted = policy["spec"]
    flux.api.patch(policy, {"spec": {"ingress": [{}]}})
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "inferd", "namespace": "inferd"}}
    flux.api.delete(budget)
    assert flux.api.get("networking.k8s.io/v1", "NetworkPolicy", "inferd", "inferd")["spec"] != wanted
    flux.request("inferd")
    wait(lambda: flux.api.get("networking.k8s.io/v1", "NetworkPolicy", "inferd", "inferd")["spec"] == wanted, 30, "the rule is back")
    wait(lambda: flux.api.find("policy/v1", "PodDisruptionBudget", "inferd", "inferd"), 30, "the budget is back")


def test_nobody_fights_over_replicas(flux: Flux) -> None:
    """What an autoscaler owns is left as it set it: neither the Deployment's replicas nor a worker group's are in git."""
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "inferd", "namespace": "inferd"}}
    flux.api.patch(deployment, {"spec": {"replicas": 2}})
    at = flux.get("inferd")["status"].get("lastHandledReconcileAt")
    flux.request("inferd")
    wait(lambda: flux.get("inferd")["status"].get("lastHandledReconcileAt") != at, 30, "inferd was reconciled")
    assert flux.api.get("apps/v1", "Deployment", "inferd", "inferd")["spec"]["replicas"] == 2


def test_prune(flux: Flux) -> None:
    """What git had and has no more goes; what others made stays."""
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-hand", "namespace": FLUX}}
    flux.api.apply(own)
    listed = flux.repository.read(f"{SECRETS}/kustomization.yaml")
    added = {f"{SECRETS}/extra.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n  namespace: flux-system\n",
             f"{SECRETS}/kustomization.yaml": listed + "  - extra.yaml\n"}
    flux.push(added)
    wait(lambda: flux.api.find("v1", "ConfigMap", FLUX, "extra"), 60, "the added object is there")
    commit = flux.push({f"{SECRETS}/extra.yaml": None, f"{SECRETS}/kustomization.yaml": listed})
    wait(lambda: not flux.api.find("v1", "ConfigMap", FLUX, "extra"), 60, "the removed object is gone")
    assert flux.api.find("v1", "ConfigMap", FLUX, "by-hand")
    flux.api.delete(own)
    flux.settle(commit)


def test_encrypted_secret(flux: Flux) -> None:
    """A Secret encrypted with the cluster's age key arrives in clear text; one of another key stops its stage, and says so."""
    file, key = f"{SECRETS}/api-keys.secret.yaml", "a-key-of-a-test"
    text = flux.repository.read(file)
    assert key not in text and "ENC[" in text

    def arrived() -> bytes:
        return base64.b64decode(flux.api.get("v1", "Secret", "ingress", "api-keys")["data"]["client"])
    assert arrived() == key.encode()
    other = subprocess.run([str(flux.plane.programs / "age-keygen")], check=True, capture_output=True, text=True).stdout
    theirs = next(line.split()[-1] for line in other.splitlines() if "public key" in line)
    clear = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api-keys", "namespace": "ingress"}, "stringData": {"client": "another"}}
    flux.push({file: flux.sops(yaml.safe_dump(clear), theirs)})
    said = wait(lambda: condition(flux.get("secrets"), "Ready").get("status") == "False" and "api-keys" in condition(flux.get("secrets"), "Ready")["message"]
                and condition(flux.get("secrets"), "Ready")["message"], 60, "the stage stops", lambda: condition(flux.get("secrets"), "Ready"))
    assert "decrypt" in said or "data key" in said, said
    assert arrived() == key.encode(), "the last good one stays"
    flux.settle(flux.push({file: flux.sops(yaml.safe_dump({**clear, "stringData": {"client": "a-new-key"}}))}))
    assert arrived() == b"a-new-key"


def test_bad_field_is_named(flux: Flux) -> None:
    """A misspelt field of a custom resource stops its stage with the field's name, and nothing of the stage is changed."""
    scaling, server = "platform/apps/inferd/base/autoscaling.yaml", "platform/apps/inferd/base/deployment.yaml"
    good = {name: flux.repository.read(name) for name in (scaling, server)}
    scaled, deployment = ("keda.sh/v1alpha1", "ScaledObject", "inferd", "inferd"), ("apps/v1", "Deployment", "inferd", "inferd")
    before = [flux.api.get(*o)["metadata"]["generation"] for o in (scaled, deployment)]
    flux.push({**flux.replace(scaling, r"^  pollingInterval:", "  polingInterval:"), **flux.replace(server, r"^  revisionHistoryLimit: 3$", "  revisionHistoryLimit: 4")})
    wait(lambda: condition(flux.get("inferd"), "Ready").get("status") == "False" and "polingInterval" in condition(flux.get("inferd"), "Ready")["message"], 60,
         "the stage names the field", lambda: condition(flux.get("inferd"), "Ready"))
    assert [flux.api.get(*o)["metadata"]["generation"] for o in (scaled, deployment)] == before
    flux.settle(flux.push(dict(good)))


def test_bad_field_of_a_builtin_kind_is_lost(flux: Flux) -> None:
    """kustomize-controller reads workloads, Services and Secrets into Kubernetes' types before it applies them, so the API server never
    sees what it would refuse. That is what Flux does, no wish of ours: kubeconform (test_manifests.py) must find these before a push."""
    file, deployment = "platform/apps/inferd/base/deployment.yaml", ("apps/v1", "Deployment", "inferd", "inferd")
    good = flux.repository.read(file)
    assert flux.api.get(*deployment)["spec"]["progressDeadlineSeconds"] == 300
    commit = flux.push(flux.replace(file, r"^  progressDeadlineSeconds:", "  progressDeadlineSecnds:"))
    wait(lambda: flux.at("inferd", commit), 60, "the stage is ready with it", lambda: flux.get("inferd").get("status"))
    assert flux.api.get(*deployment)["spec"]["progressDeadlineSeconds"] == 600, "Kubernetes' default"
    twin = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "inferd", "namespace": "inferd"}, "spec": {"progressDeadlineSecnds": 300}}
    with pytest.raises(ApiError, match="progressDeadlineSecnds"):
        flux.api.apply(twin, dry_run=True)
    flux.settle(flux.push({file: good}))
    assert flux.api.get(*deployment)["spec"]["progressDeadlineSeconds"] == 300


def test_health_of_the_gateway(flux: Flux) -> None:
    """The expressions of clusters/base/gateway.yaml: a refused Gateway fails its stage, and routes behind it wait."""
    file = "platform/apps/ingress/gateway/base/gateway.yaml"
    good = flux.repository.read(file)
    flux.claims.verdict["Gateway"] = False
    commit = flux.push({file: good.replace("      port: 443\n", "      port: 8443\n")})
    said = wait(lambda: condition(flux.get("gateway"), "Ready").get("reason") == "HealthCheckFailed" and condition(flux.get("gateway"), "Ready")["message"], 90,
                "the stage fails", lambda: condition(flux.get("gateway"), "Ready"))
    assert "Gateway/ingress/inferd" in said, said
    wait(lambda: "'flux-system/gateway'" in condition(flux.get("routes"), "Ready").get("message", ""), 30, "routes wait for the gateway", lambda: flux.get("routes").get("status"))
    assert not flux.at("routes", commit)
    flux.claims.verdict["Gateway"] = True
    flux.settle(flux.push({file: good}))


def test_health_is_of_this_generation(flux: Flux) -> None:
    """While nobody has looked at a changed policy, what was said of the one before it does not make its stage ready."""
    file = "platform/apps/ingress/gateway/key/api-key.yaml"
    good, kind = flux.repository.read(file), ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", "ingress", "api-key")
    flux.claims.verdict["SecurityPolicy"] = None
    commit = flux.push({file: good.replace("x-client-id", "x-client")})
    changed = wait(lambda: (p := flux.api.get(*kind))["spec"]["apiKeyAuth"]["forwardClientIDHeader"] == "x-client" and p, 60, "the policy is changed")
    said = changed["status"]["ancestors"][0]["conditions"][0]
    assert said["status"] == "True" and said["observedGeneration"] < changed["metadata"]["generation"], "an expression without the generation would pass"
    try:
        wait(lambda: flux.waits("gateway", commit), 30, "the stage waits for it", lambda: flux.get("gateway").get("status"))
        flux.not_ready("gateway", commit)
    finally:
        flux.claims.verdict["SecurityPolicy"] = True
    flux.settle(commit)
    flux.settle(flux.push({file: good}))


def test_health_of_the_rayservice(flux: Flux, note: Callable[[str], None]) -> None:
    """The expression of clusters/base/ray.yaml, with KubeRay's operator: a release that does not start keeps its stage from being
    ready, though the RayService goes on to say Ready of its old cluster; and the revert need not wait for the stage's timeout."""
    service, file = Service(flux.api, "inferd"), "platform/apps/ray/components/image/kustomization.yaml"
    good, old = flux.repository.read(file), service.settle()
    commit = flux.push(flux.replace(file, r"^(\s*)newTag: (\S+)$", r"\g<1>newTag: \g<2>-broken"))
    wait(lambda: flux.waits("ray", commit) and service.cluster("pending"), 60, "the stage waits for a second cluster", lambda: flux.get("ray").get("status"))
    flux.not_ready("ray", commit)
    assert service.served_by() == old and service.says("Ready") == "True", "the old cluster serves, and an expression of Ready alone would pass"
    wait(lambda: "'flux-system/ray'" in condition(flux.get("routes"), "Ready").get("message", ""), 30, "routes wait for ray", lambda: flux.get("routes").get("status"))
    assert not flux.at("routes", commit)
    began, limit = time.monotonic(), seconds(flux.get("ray")["spec"]["timeout"])
    told = len(flux.controllers["kustomize-controller"].text())
    flux.settle(flux.push({file: good}), 180)
    taken = time.monotonic() - began
    lines = flux.controllers["kustomize-controller"].text()[told:].splitlines()
    assert taken < limit and any("canceling health checks" in ln and '"name":"ray"' in ln for ln in lines), "the wait for the broken release was broken off"
    note(f"flux: a release that does not start: stage not ready, old cluster went on; {taken:.0f} s after the revert all was ready (the stage's timeout is {limit:.0f} s)")


def test_refused_rayservice(flux: Flux) -> None:
    """`failed` of the same expression: a RayService that KubeRay refuses fails its stage at once, and the message names it."""
    folder = "platform/apps/ray/overlays/local"
    listed = flux.repository.read(f"{folder}/kustomization.yaml")
    pod = {"containers": [{"name": "ray", "image": "localhost/inferd-ray:0.1.0"}]}
    refused = {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "refused"}, "spec": {
        "upgradeStrategy": {"type": "Sideways"}, "rayClusterConfig": {"authOptions": {"mode": "token"}, "headGroupSpec": {"rayStartParams": {}, "template": {"spec": pod}}}}}
    flux.push({f"{folder}/refused.yaml": yaml.safe_dump(refused),
               f"{folder}/kustomization.yaml": listed.replace("  - ../../base\n", "  - ../../base\n  - refused.yaml\n")})
    said = wait(lambda: condition(flux.get("ray"), "Ready").get("reason") == "HealthCheckFailed" and condition(flux.get("ray"), "Ready")["message"], 90,
                "the stage fails", lambda: condition(flux.get("ray"), "Ready"))
    assert "RayService/ray/refused" in said and "RayService/ray/inferd" not in said, said
    flux.settle(flux.push({f"{folder}/refused.yaml": None, f"{folder}/kustomization.yaml": listed}))
    wait(lambda: not flux.api.find("ray.io/v1", "RayService", "ray", "refused"), 30, "it is pruned")


def test_alert_of_a_failed_stage(flux: Flux) -> None:
    """notification-controller tells of a failure: kustomize-controller's event, an Alert, a webhook."""
    if "notification-controller" not in flux.running:
        pytest.skip("notification-controller is not built (make tools TOOLS=notification-controller)")
    told: list[Object] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
    server = http.server.HTTPServer(("10.244.255.3", 8420), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kinds = "notification.toolkit.fluxcd.io/v1beta3"
    flux.api.apply({"apiVersion": kinds, "kind": "Provider", "metadata": {"name": "hook", "namespace": FLUX},
                    "spec": {"type": "generic", "address": "http://10.244.255.3:8420/"}})
    flux.api.apply({"apiVersion": kinds, "kind": "Alert", "metadata": {"name": "failures", "namespace": FLUX},
                    "spec": {"providerRef": {"name": "hook"}, "eventSeverity": "error", "eventSources": [{"kind": "Kustomization", "name": "*"}]}})
    try:
        good = flux.repository.read(WANTED)
        flux.push({WANTED: good.replace("kind: ConfigMap", "kind: ConfigMapp")})
        event = wait(lambda: next((e for e in told if e["involvedObject"]["name"] == "secrets"), None), 60, "the webhook is told", lambda: told)
        assert event["severity"] == "error" and "ConfigMapp" in event["message"], event
        assert all(e["severity"] == "error" for e in told), "nothing but failures"
        flux.settle(flux.push({WANTED: good}))
    finally:
        server.shutdown()
        server.server_close()


def test_controllers_and_stand_ins_had_no_faults(flux: Flux) -> None:
    for controller in flux.controllers.values():
        assert controller.alive()
    assert flux.ray.refused == 0
    for part in (flux.node, flux.claims, flux.sources):
        assert len(part.faults) < 8, part.faults
