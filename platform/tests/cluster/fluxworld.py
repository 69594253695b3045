# SPDX-License-Identifier: Apache-2.0
"""An empty cluster, a fork on this machine, and Flux: what `make flux-up` does for clusters/local, then the controllers.

Real: kustomize-controller, helm-controller, notification-controller, KubeRay's operator, each under its service account with the
arguments of its Deployment. Where helm-controller was not built, its releases are only said to be ready and the types of their
charts are there from the start; where notification-controller was not, nobody is told of events. Stand-ins: source-controller (sources.py), kubelet and scheduler (node.py), Ray (dashboard.py), and
the status of what Envoy Gateway, cert-manager and KEDA look after (claims.py).
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import builds
import trees
from api import Api, ApiError, condition, wait
from claims import Claims
from controlplane import ControlPlane
from dashboard import Ray
from dns import Names
from gitserver import GitServer, Repository
from node import Node
from processes import Process
from rayservice import broken
from sources import REQUESTED, ROOT, SOURCE, Sources

Object = dict[str, Any]
KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
FLUX = "flux-system"
HELM = "helm.toolkit.fluxcd.io/v2"
SECRETS = "platform/clusters/local/secrets"
WANTED = (("ingress", "api-keys", {"client": "a-key-of-a-test"}), ("monitoring", "grafana-admin", {"admin-user": "admin", "admin-password": "of-a-test"}))
# Ports that controllers of one machine would share; the rest of their arguments is that of their Deployments.
OWN = {  # notification-controller first: the others wait for it with each event
    "notification-controller": ["--metrics-addr=127.0.0.1:8095", "--health-addr=127.0.0.1:8096", "--events-addr=:9090"],
    "kustomize-controller": ["--metrics-addr=127.0.0.1:8091", "--health-addr=127.0.0.1:8092", "--events-addr=http://127.0.0.1:9090/"],
    "helm-controller": ["--metrics-addr=127.0.0.1:8093", "--health-addr=127.0.0.1:8094", "--events-addr=http://127.0.0.1:9090/"],
}
DROPPED = ("--enable-leader-election", "--events-addr", "--storage-", "--metrics-addr", "--health-addr")


@dataclass
class Timeline:
    """When each Kustomization first was ready, and first applied anything."""
    ready: dict[str, float] = field(default_factory=dict)
    applied: dict[str, float] = field(default_factory=dict)


class Flux:
    def __init__(self, plane: ControlPlane, folder: Path):
        self.plane, self.api, self.folder = plane, plane.api(), folder
        self.repository = Repository(folder, ROOT)
        self.git = GitServer(folder / "served")
        self.sources = Sources(self.api, folder / "artifacts")
        self.node = Node(self.api, probed=lambda pod: "ray.io/cluster" in pod["metadata"].get("labels", {}))
        self.ray = Ray(self.api, self.node, broken)
        self.running = [name for name in OWN if (plane.programs / name).exists()]
        self.claims = Claims(self.api, releases="helm-controller" not in self.running)
        self.parts = [self.git, self.node, Names(self.api), self.ray, self.claims, self.sources]
        self.controllers: dict[str, Process] = {}
        self.times = Timeline()
        self.began = time.monotonic()
        self.ended = threading.Event()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.age = folder / "age.key"
        self.missing: list[str] = []  # parts of the tree that are not there and were stood in for

    def start(self) -> None:
        for part in self.parts[:-1]:
            part.start()
        self.own_commits()
        self.repository.push()
        self.rehydrate()
        if "helm-controller" not in self.running:
            trees.install_crds(self.api, trees.crds("cert-manager", "prometheus-operator"))
        self.sources.start()
        self.watcher.start()
        for name in self.running:
            self.controller(name)
            wait(lambda n=name: self.healthy(n), 60, f"{name} is healthy", lambda n=name: self.controllers[n].text()[-1500:])

    def stop(self) -> None:
        self.ended.set()
        for part in reversed(self.parts):
            part.stop()

    def own_commits(self) -> None:
        """What a fork adds before it starts: the Secrets of wanted.yaml that its settings need, encrypted for its own key."""
        subprocess.run([str(self.plane.programs / "age-keygen"), "-o", str(self.age)], check=True, capture_output=True)
        changes: dict[str, str | None] = {}
        listed = self.repository.read(f"{SECRETS}/kustomization.yaml")
        for namespace, name, data in WANTED:
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data}
            changes[f"{SECRETS}/{name}.secret.yaml"] = self.sops(yaml.safe_dump(secret))
            listed += f"  - {name}.secret.yaml\n"
        changes[f"{SECRETS}/kustomization.yaml"] = listed
        if not (self.repository.tree / "platform/apps/monitoring/kustomization.yaml").exists():
            for folder in ("platform/apps/monitoring", "platform/apps/monitoring/config"):
                changes[f"{folder}/kustomization.yaml"] = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [empty.yaml]\n"
                changes[f"{folder}/empty.yaml"] = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {folder.rsplit('/', 1)[1]}\n  namespace: monitoring\n"
            self.missing.append("apps/monitoring")
        self.repository.commit(changes)

    def rehydrate(self) -> None:
        """As `make flux-up`: key and values, Flux's own manifests through kubectl, then what it shall follow."""
        values = {"GIT_URL": self.repository.url, "GIT_BRANCH": "main"}
        self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FLUX}}])
        self.apply([
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-git", "namespace": FLUX}, "data": values},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sops-age", "namespace": FLUX},
             "stringData": {"age.agekey": self.age.read_text(encoding="utf-8")}}])
        made = builds.substitute(builds.text("clusters/local/flux-system"), values)
        found = [o for o in yaml.load_all(made, Loader=builds.LOADER) if o]
        first = [o for o in found if ".toolkit.fluxcd.io/" not in o["apiVersion"]]
        self.manifests = first
        self.apply([o for o in first if o["kind"] == "CustomResourceDefinition"])
        self.apply([o for o in first if o["kind"] != "CustomResourceDefinition"])
        crds = [o["metadata"]["name"] for o in first if o["kind"] == "CustomResourceDefinition"]
        for name in crds:
            wait(lambda name=name: condition(self.api.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, name), "Established").get("status") == "True",
                 30, f"CRD {name} is served")
        self.apply([o for o in found if ".toolkit.fluxcd.io/" in o["apiVersion"]])

    def apply(self, objects: list[Object]) -> None:
        """By kubectl, as the make target."""
        subprocess.run([str(self.plane.programs / "kubectl"), f"--kubeconfig={self.plane.kubeconfig('admin')}", "apply", "--server-side",
                        "--field-manager=inferd", "-f", "-"], input=yaml.safe_dump_all(objects, sort_keys=False), text=True, check=True, capture_output=True)

    def controller(self, name: str) -> None:
        deployment = next(o for o in self.manifests if o["kind"] == "Deployment" and o["metadata"]["name"] == name)
        args = [a for a in deployment["spec"]["template"]["spec"]["containers"][0]["args"] if not a.startswith(DROPPED)]
        own = [a for a in OWN[name] if "notification-controller" in self.running or not a.startswith("--events-addr")]
        self.controllers[name] = self.plane.run(name, *args, *own, env={
            "RUNTIME_NAMESPACE": FLUX, "KUBECONFIG": str(self.plane.kubeconfig(f"{FLUX}/{name}"))})

    def healthy(self, name: str) -> bool:
        """As the Deployment's probe asks."""
        self.controllers[name].alive()
        address = next(a for a in OWN[name] if a.startswith("--health-addr=")).split("=")[1]
        try:
            with urllib.request.urlopen(f"http://{address}/healthz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def watch(self) -> None:
        """Notes when things first happened, and runs KubeRay's operator once its Deployment has come."""
        while not self.ended.wait(0.2):
            try:
                for k in self.api.list(KUSTOMIZE, "Kustomization", FLUX):
                    name, now = k["metadata"]["name"], time.monotonic()
                    if k.get("status", {}).get("inventory", {}).get("entries"):
                        self.times.applied.setdefault(name, now)
                    if condition(k, "Ready").get("status") == "True":
                        self.times.ready.setdefault(name, now)
                deployment = self.api.find("apps/v1", "Deployment", "kuberay-system", "kuberay-operator")
                if deployment and "ray-operator" not in self.controllers:
                    # No election: there is one, and nobody would start it again after a lease that a busy machine let expire.
                    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
                    self.controllers["ray-operator"] = self.plane.run(
                        "ray-operator", *args, "--enable-leader-election=false", f"--kubeconfig={self.plane.kubeconfig('kuberay-system/kuberay-operator')}",
                        "--metrics-addr=127.0.0.1:8081", "--health-probe-bind-address=127.0.0.1:8082")
            except (ApiError, OSError):
                continue

    def get(self, name: str, kind: str = "Kustomization", version: str = KUSTOMIZE, namespace: str = FLUX) -> Object:
        return self.api.find(version, kind, namespace, name) or {}

    def all(self) -> dict[str, Object]:
        return {k["metadata"]["name"]: k for k in self.api.list(KUSTOMIZE, "Kustomization", FLUX)}

    def unready(self) -> dict[str, str]:
        """Kustomizations that are not ready with their last word."""
        return {n: condition(k, "Ready").get("message", "not reconciled") for n, k in self.all().items()
                if condition(k, "Ready").get("status") != "True" or k["status"].get("observedGeneration") != k["metadata"]["generation"]}

    def request(self, name: str, kind: str = "Kustomization", version: str = KUSTOMIZE) -> None:
        """As `flux reconcile`, and as the webhook of a push would."""
        self.api.patch({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": FLUX}},
                       {"metadata": {"annotations": {REQUESTED: str(time.time_ns())}}})

    def push(self, changes: dict[str, str | None]) -> str:
        """Commits, pushes, and asks for the source as make flux-reconcile does; returns the commit."""
        commit = self.repository.commit(changes)
        self.request(FLUX, "GitRepository", SOURCE)
        return commit

    def replace(self, name: str, pattern: str, by: str) -> dict[str, str | None]:
        """The change of one file by a pattern that must be in it once."""
        text, count = re.subn(pattern, by, self.repository.read(name), flags=re.M)
        assert count == 1, f"{pattern!r} is {count} times in {name}"
        return {name: text}

    def at(self, name: str, commit: str) -> bool:
        """Whether a Kustomization is ready with that commit."""
        k = self.get(name)
        return condition(k, "Ready").get("status") == "True" and commit in k.get("status", {}).get("lastAppliedRevision", "")

    def waits(self, name: str, commit: str) -> bool:
        """Whether a Kustomization has applied that commit and now waits for the health of what it applied."""
        k = self.get(name)
        word = condition(k, "Healthy")
        return word.get("status") == "Unknown" and word.get("reason") == "Progressing" and commit in word["message"] and condition(k, "Ready").get("status") != "True"

    def not_ready(self, name: str, commit: str) -> None:
        """Watches a Kustomization for two of the controller's polls: it must not become ready with that commit."""
        end = time.monotonic() + 12
        while time.monotonic() < end:
            assert not self.at(name, commit), self.get(name)["status"]
            time.sleep(0.5)

    def settle(self, commit: str, seconds: float = 120) -> None:
        def done() -> bool:
            return not self.unready() and all(self.at(n, commit) for n, k in self.all().items() if k["spec"]["sourceRef"]["name"] == FLUX)
        wait(done, seconds, f"everything is ready with {commit[:8]}", self.unready)

    def sops(self, text: str, recipient: str = "") -> str:
        """Encrypted with age for the cluster's key, or another's."""
        recipient = recipient or next(line.split()[-1] for line in self.age.read_text(encoding="utf-8").splitlines() if "public key" in line)
        path = self.folder / "clear.secret.yaml"
        path.write_text(text, encoding="utf-8")
        return subprocess.run([str(self.plane.programs / "sops"), "--encrypt", "--age", recipient, "--encrypted-regex", "^(data|stringData)$", str(path)],
                              check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}).stdout
