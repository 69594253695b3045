# SPDX-License-Identifier: Apache-2.0
"""Our invariants as rules for conftest (platform/policy): no build breaks one, and each rule refuses a twin that does.

A rule reads one build whole, `{"build": folder, "cluster": are these a cluster's stages, "objects": [...]}`, as many of them are
about objects that belong together.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import builds
import fluxcomponents
from builds import PLATFORM, by_kind, objects

Objects = list[dict[str, Any]]
GPU, CPU, SERVER, STAGES = "apps/ray/overlays/gpu-in-place", "apps/ray/overlays/cpu-new-cluster", "apps/inferd/overlays/prod", "clusters/prod/stages"
KEY, ENVOY, POLICIES, NGINX = "apps/ingress/gateway/key", "apps/ingress/envoy", "apps/policies", "apps/ingress/nginx/controller"


def bundle(folder: str, found: Objects) -> dict[str, Any]:
    # Flux's own pods are Flux's to make: its namespace only warns
    ours = [o for o in found if o["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") != "flux"]
    return {"build": folder, "cluster": folder.endswith("/stages"), "objects": ours}


def conftest(bundles: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Name -> what the rules say against it. Fails when a bundle was not judged."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = []
        for name, content in bundles.items():
            paths.append(Path(scratch) / f"{name.replace('/', '__')}.json")
            paths[-1].write_text(json.dumps(content), encoding="utf-8")
        done = subprocess.run([fluxcomponents.tool("conftest"), "test", "--no-color", "--parser", "json", "--policy", str(PLATFORM / "policy"),
                               "--output", "json", *map(str, paths)], capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise AssertionError(done.stderr)
    said = {Path(r["filename"]).stem.replace("__", "/"): [f["msg"] for f in r.get("failures") or []] for r in json.loads(done.stdout)}
    if set(said) != set(bundles):
        raise AssertionError(f"not judged: {set(bundles) - set(said)}")
    return said


def rules() -> list[str]:
    """The name that each message begins with."""
    return sorted({m for path in (PLATFORM / "policy").glob("*.rego") for m in re.findall(r'(?m)^deny contains (?:sprintf\()?"([a-z-]+):', path.read_text(encoding="utf-8"))})


def one(found: Objects, kind: str, name: str | None = None) -> dict[str, Any]:
    (o,) = [o for o in found if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return o


def ray(found: Objects) -> dict[str, Any]:
    return one(found, "RayService")["spec"]["rayClusterConfig"]


def group(found: Objects, index: int = -1) -> dict[str, Any]:
    return ray(found)["workerGroupSpecs"][index]


def container(found: Objects) -> dict[str, Any]:
    return one(found, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def pod(found: Objects) -> dict[str, Any]:
    return one(found, "Deployment")["spec"]["template"]["spec"]


def without(found: Objects, kind: str, name: str | None = None) -> None:
    found[:] = [o for o in found if not (o["kind"] == kind and name in (None, o["metadata"]["name"]))]


def put(target: dict[str, Any], **fields: Any) -> None:
    target.update(fields)


def ungenerated(found: Objects, stage: str, which: str) -> None:
    """One expression of a stage's health without the comparison of generations."""
    check = one(found, "Kustomization", stage)["spec"]["healthCheckExprs"][0]
    check[which] = check[which].replace(" && c.observedGeneration == metadata.generation", "")


# rule, build, what breaks it, a word of the message
TWINS: list[tuple[str, str, Callable[[Objects], Any], str]] = [
    ("pod-identity", SERVER, lambda o: put(pod(o)["securityContext"], runAsUser=0), "Deployment inferd"),
    ("pod-identity", CPU, lambda o: ray(o)["headGroupSpec"]["template"]["spec"]["securityContext"].pop("seccompProfile"), "head"),
    ("container-rights", SERVER, lambda o: put(container(o)["securityContext"], readOnlyRootFilesystem=False), "container inferd"),
    ("container-rights", GPU, lambda o: put(group(o)["template"]["spec"]["containers"][0]["securityContext"], capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}), "group gpu"),
    ("container-rights", CPU, lambda o: ray(o)["autoscalerOptions"].pop("securityContext"), "autoscaler"),
    ("host", CPU, lambda o: put(group(o)["template"]["spec"], hostNetwork=True), "group cpu"),
    ("host", SERVER, lambda o: put(pod(o), volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "Deployment inferd"),
    ("image-version", SERVER, lambda o: put(container(o), image="docker.io/grafana/k6:latest"), ":latest"),
    ("image-version", CPU, lambda o: put(group(o)["template"]["spec"]["containers"][0], image="inferd-ray"), "inferd-ray"),
    ("container-rights", SERVER, lambda o: container(o).pop("securityContext"), "container inferd"),
    ("resources", SERVER, lambda o: container(o).pop("resources"), "container inferd"),
    ("ray-version", CPU, lambda o: ray(o).pop("rayVersion"), "rayVersion"),
    ("source-pinned", "apps/keda", lambda o: one(o, "GitRepository")["spec"].pop("ref"), "GitRepository keda"),
    ("source-pinned", ENVOY, lambda o: one(o, "OCIRepository")["spec"].pop("ref"), "OCIRepository"),
    ("source-pinned", NGINX, lambda o: one(o, "HelmRelease")["spec"]["chart"]["spec"].pop("version"), "no range"),
    ("disruption-budget-form", CPU, lambda o: put(one(o, "PodDisruptionBudget", "ray-workers")["spec"], minAvailable=None, maxUnavailable=1), "ray-workers"),
    ("resources", SERVER, lambda o: container(o)["resources"].pop("limits"), "container inferd"),
    ("account-token", SERVER, lambda o: pod(o).pop("automountServiceAccountToken"), "Deployment inferd"),
    ("service-links", SERVER, lambda o: pod(o).pop("enableServiceLinks"), "INFERD_PORT"),
    ("probes", SERVER, lambda o: put(container(o)["livenessProbe"]["httpGet"], path="/readyz"), "not the same question"),
    ("probes", SERVER, lambda o: container(o).pop("readinessProbe"), "container inferd"),
    ("probe-port", SERVER, lambda o: put(container(o)["livenessProbe"]["httpGet"], port="admin"), "port admin"),
    ("disruption-budget", SERVER, lambda o: without(o, "PodDisruptionBudget"), "Deployment inferd"),
    ("disruption-budget", CPU, lambda o: without(o, "PodDisruptionBudget", "ray-workers"), "group cpu"),
    ("disruption-budget-form", CPU, lambda o: put(one(o, "PodDisruptionBudget", "ray-workers")["spec"], minAvailable="50%"), "ray-workers"),
    ("spread", SERVER, lambda o: pod(o)["topologySpreadConstraints"].pop(), "Deployment inferd"),
    ("autoscaled-replicas", SERVER, lambda o: put(one(o, "Deployment")["spec"], replicas=2), "ScaledObject owns"),
    ("rolling-update", SERVER, lambda o: one(o, "Deployment")["spec"].pop("strategy"), "maxUnavailable 0"),
    ("ray-replicas", CPU, lambda o: put(group(o), replicas=0), "group cpu"),
    ("ray-group-size", CPU, lambda o: put(group(o), maxReplicas=1), "group cpu"),
    ("ray-head", CPU, lambda o: ray(o)["headGroupSpec"]["rayStartParams"].pop("num-cpus"), "num-cpus"),
    ("ray-head", CPU, lambda o: one(o, "RayService")["spec"].pop("excludeHeadPodFromServeSvc"), "excludeHeadPodFromServeSvc"),
    ("ray-token", CPU, lambda o: ray(o).pop("authOptions"), "authOptions"),
    ("ray-version", CPU, lambda o: put(ray(o), rayVersion="2.60"), "rayVersion"),
    ("ray-autoscaler", CPU, lambda o: ray(o)["autoscalerOptions"].pop("version"), "version v2"),
    ("ray-upgrade", CPU, lambda o: one(o, "RayService")["spec"].pop("upgradeStrategy"), "upgradeStrategy"),
    ("ray-expiry", CPU, lambda o: put(one(o, "RayService")["metadata"], annotations={"ray.io/initializing-timeout": "5m"}), "no change in Git"),
    ("ray-readiness", CPU, lambda o: group(o)["template"]["spec"]["containers"][0].pop("readinessProbe"), "group cpu"),
    ("ray-readiness", GPU, lambda o: put(group(o)["template"]["spec"]["containers"][0]["readinessProbe"], failureThreshold=1), "group gpu"),
    ("ray-drain", CPU, lambda o: put(group(o)["template"]["spec"], terminationGracePeriodSeconds=60), "grace period"),
    ("ray-drain", GPU, lambda o: group(o)["template"]["spec"]["containers"][0].pop("lifecycle"), "group gpu"),
    ("ray-gpu", GPU, lambda o: group(o)["template"]["spec"].pop("tolerations"), "group gpu"),
    ("ray-gpu", CPU, lambda o: put(group(o)["template"]["spec"]["nodeSelector"], pool="gpu"), "group cpu"),
    ("ray-serve-config", CPU, lambda o: put(one(o, "RayService")["spec"], serveConfigV2="applications: []"), "none"),
    ("ray-serve-port", CPU, lambda o: put(one(o, "RayService")["spec"], serveConfigV2=one(o, "RayService")["spec"]["serveConfigV2"].replace("8000", "8001")), "http_options.port"),
    ("ray-gpu-surge", GPU, lambda o: put(one(o, "RayService")["spec"], serveConfigV2=one(o, "RayService")["spec"]["serveConfigV2"].replace("num_gpus: 0.5", "num_gpus: 1")), "num_gpus"),
    ("ray-device", GPU, lambda o: put(one(o, "RayService")["spec"], serveConfigV2=one(o, "RayService")["spec"]["serveConfigV2"].replace("device: gpu", "device: cpu")), "device is cpu"),
    ("flux-retry", STAGES, lambda o: one(o, "Kustomization", "ray")["spec"].pop("retryInterval"), "ray"),
    ("flux-wait", STAGES, lambda o: put(one(o, "Kustomization", "kuberay")["spec"], wait=False), "kuberay"),
    ("flux-prune", STAGES, lambda o: put(one(o, "Kustomization", "kuberay")["spec"], prune=False), "kuberay"),
    ("flux-decryption", STAGES, lambda o: one(o, "Kustomization", "monitoring")["spec"].pop("decryption"), "monitoring"),
    ("flux-depends", STAGES, lambda o: without(o, "Kustomization", "policies"), "policies"),
    ("flux-cycle", STAGES, lambda o: put(one(o, "Kustomization", "policies")["spec"], dependsOn=[{"name": "routes"}]), "routes"),
    ("flux-health", STAGES, lambda o: one(o, "Kustomization", "ray")["spec"].pop("healthCheckExprs"), "ray"),
    ("flux-health-failed", STAGES, lambda o: one(o, "Kustomization", "ray")["spec"]["healthCheckExprs"][0].pop("failed"), "RayService"),
    ("flux-health-generation", STAGES, lambda o: ungenerated(o, "routes", "current"), "HTTPRoute"),
    ("flux-health-generation", STAGES, lambda o: ungenerated(o, "gateway", "failed"), "Gateway"),
    ("flux-api", NGINX, lambda o: put(one(o, "HelmRepository"), apiVersion="source.toolkit.fluxcd.io/v1beta2"), "v1beta2"),
    ("source-pinned", "apps/keda", lambda o: put(one(o, "GitRepository")["spec"], ref={"branch": "main"}), "GitRepository keda"),
    ("source-pinned", ENVOY, lambda o: put(one(o, "OCIRepository")["spec"], ref={"semver": ">=1.0"}), "OCIRepository"),
    ("source-pinned", NGINX, lambda o: put(one(o, "HelmRelease")["spec"]["chart"]["spec"], version=">=4.10 <5"), "no range"),
    ("helm-crds", ENVOY, lambda o: one(o, "HelmRelease")["spec"]["upgrade"].pop("crds"), "CreateReplace"),
    ("helm-retry", ENVOY, lambda o: one(o, "HelmRelease")["spec"]["install"].pop("strategy"), "one failure"),
    ("pod-security", POLICIES, lambda o: put(one(o, "Namespace", "ray")["metadata"]["labels"], **{"pod-security.kubernetes.io/enforce": "baseline"}), "Namespace ray"),
    ("default-deny", POLICIES, lambda o: [o.remove(p) for p in list(o) if p["kind"] == "NetworkPolicy" and p["metadata"]["namespace"] == "inferd"], "namespace inferd"),
    ("open-policy", SERVER, lambda o: put(one(o, "NetworkPolicy")["spec"], ingress=[{}]), "lets everybody in"),
    ("open-policy", SERVER, lambda o: put(one(o, "NetworkPolicy")["spec"], egress=[{}]), "go anywhere"),
    ("ray-ports", CPU, lambda o: put(one(o, "NetworkPolicy", "gateway-to-serve")["spec"]["ingress"][0], ports=[{"port": 8265}]), "port 8265"),
    ("ray-ports", CPU, lambda o: one(o, "NetworkPolicy", "gateway-to-serve")["spec"]["ingress"][0].pop("ports"), "port every"),
    ("exposed-service", SERVER, lambda o: put(one(o, "Service")["spec"], type="LoadBalancer"), "Service inferd/inferd"),
    ("exposed-service", CPU, lambda o: put(ray(o)["headGroupSpec"], serviceType="NodePort"), "head"),
    ("gateway-tls", KEY, lambda o: put(one(o, "Gateway")["spec"]["listeners"][0], protocol="HTTP"), "listener https"),
    ("gateway-all", KEY, lambda o: one(o, "Gateway")["spec"]["listeners"][0].pop("allowedRoutes"), "listener https"),
    ("gateway-rate", KEY, lambda o: one(o, "BackendTrafficPolicy")["spec"].pop("rateLimit"), "limits the rate"),
    ("gateway-key", KEY, lambda o: without(o, "SecurityPolicy"), "ACCESS: open"),
    ("route-path", "apps/ingress/routes/ray", lambda o: put(one(o, "HTTPRoute")["spec"]["rules"][0]["matches"][0]["path"], type="PathPrefix", value="/"), "PathPrefix"),
    ("route-path", "apps/ingress/routes/inferd", lambda o: put(one(o, "HTTPRoute")["spec"]["rules"][0]["matches"][0]["path"], value="/metrics"), "/metrics"),
    ("route-path", "apps/ingress/nginx/ray", lambda o: put(one(o, "Ingress")["spec"]["rules"][0]["http"]["paths"][0], path="/-/routes"), "/-/routes"),
    ("route-tls", "apps/ingress/nginx/ray", lambda o: one(o, "Ingress")["spec"].pop("tls"), "TLS"),
    ("health-check", "apps/ingress/gke/ray", lambda o: without(o, "HealthCheckPolicy"), "GKE asks GET /"),
]


class Policy(unittest.TestCase):
    def test_no_build_breaks_a_rule(self):
        offered = [("apps/ray/overlays/cpu-new-cluster", "gcs-fault-tolerance"), *(("clusters/prod/stages", c) for c in ("c-server", "c-server+server-keys", "incremental", "gke-gateway", "nginx"))]
        said = conftest({folder: bundle(folder, objects(folder)) for folder in builds.applied()}
                        | {f"{component}/stages" if folder == "clusters/prod/stages" else component: bundle(folder, builds.switched(folder, component)) for folder, component in offered})
        self.assertEqual({k: v for k, v in said.items() if v}, {})
        print(f"policy: {len(rules())} rules, {len(said)} builds keep them")

    def test_each_rule_refuses_its_twins(self):
        self.assertEqual(sorted({t[0] for t in TWINS}), rules())
        bundles = {}
        for number, (rule, folder, breaks, _) in enumerate(TWINS):
            found = copy.deepcopy(objects(folder))
            breaks(found)
            bundles[f"{number:02} {rule}"] = bundle(folder, found)
        said = conftest(bundles)
        for number, (rule, _, _, word) in enumerate(TWINS):
            lines = [line for line in said[f"{number:02} {rule}"] if line.startswith(f"{rule}: ")]
            self.assertTrue(lines, f"twin {number} of {rule} passed: {said[f'{number:02} {rule}']}")
            self.assertTrue(any(word in line or "route-path" == rule and "path" in line for line in lines), f"{word} not in {lines}")
        print(f"policy: {len(TWINS)} twins refused")


if __name__ == "__main__":
    unittest.main()
