# SPDX-License-Identifier: Apache-2.0
"""Driving RayServices of platform/apps/ray against KubeRay's operator: what a build makes of them, what their status says, and a
recording of the traffic weights that the operator sets.
"""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

import builds
import trees
from api import Api, condition, wait

Object = dict[str, Any]
RAY, GATEWAY = "ray.io/v1", "gateway.networking.k8s.io/v1"


def build(overlay: str, name: str = "inferd") -> list[Object]:
    """The objects of apps/ray/overlays/<overlay>; the RayService under another name, and old clusters deleted at once."""
    found = copy.deepcopy(builds.objects(f"apps/ray/overlays/{overlay}", trees.LOCAL))
    for o in found:
        if o["kind"] == "RayService":
            o["metadata"]["name"] = name
            o["spec"]["rayClusterDeletionDelaySeconds"] = 2  # 90 in the tree, for connections that are held
    return found


def image(service: Object, tag: str) -> Object:
    """A copy with every group's image at that tag: a changed pod template, as a release makes."""
    changed = copy.deepcopy(service)
    cluster = changed["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        for container in group["template"]["spec"]["containers"]:
            container["image"] = container["image"].rsplit(":", 1)[0] + f":{tag}"
    return changed


def broken(head: Object) -> bool:
    """Images whose application cannot start: those with such a tag."""
    return head["spec"]["containers"][0]["image"].endswith("-broken")


class Service:
    """One RayService as the API server tells of it."""

    def __init__(self, api: Api, name: str):
        self.api, self.name = api, name

    def now(self) -> Object:
        return self.api.get(RAY, "RayService", "ray", self.name)

    def status(self) -> Object:
        return (self.api.find(RAY, "RayService", "ray", self.name) or {}).get("status", {})

    def cluster(self, which: str) -> str:
        """Name of the `active` or `pending` RayCluster, or nothing."""
        return self.status().get(f"{which}ServiceStatus", {}).get("rayClusterName", "")

    def says(self, kind: str) -> str:
        return condition({"status": self.status()}, kind).get("status", "")

    def settled(self, old: str = "") -> str:
        """The active cluster's name, once it is another than `old`, ready, and alone; else nothing."""
        active = self.cluster("active")
        alone = self.says("Ready") == "True" and not self.cluster("pending") and self.says("UpgradeInProgress") == "False"
        return active if active and active != old and alone else ""

    def served_by(self) -> str:
        """The RayCluster that the stable Service of this RayService selects."""
        service = self.api.find("v1", "Service", "ray", f"{self.name}-serve-svc")
        return service["spec"]["selector"]["ray.io/cluster"] if service else ""

    def clusters(self) -> set[str]:
        return {c["metadata"]["name"] for c in self.api.list(RAY, "RayCluster", "ray", f"ray.io/originated-from-cr-name={self.name}")}

    def settle(self, old: str = "", seconds: float = 90) -> str:
        return wait(lambda: self.settled(old), seconds, f"RayService {self.name} serves from {'a new' if old else 'its'} cluster, alone", self.status)

    def remove(self) -> None:
        self.api.delete({"apiVersion": RAY, "kind": "RayService", "metadata": {"name": self.name, "namespace": "ray"}})
        wait(lambda: not self.clusters() and not self.api.find(RAY, "RayService", "ray", self.name), 60, f"{self.name} and its clusters are gone")


class Weights:
    """Records what the operator's HTTPRoute gives each backend, whenever it changes."""

    def __init__(self, service: Service):
        self.service, self.seen, self.ended = service, [], threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def __enter__(self) -> Weights:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join(10)

    def now(self) -> dict[str, int]:
        route = self.service.api.find(GATEWAY, "HTTPRoute", "ray", f"{self.service.name}-httproute")
        return {b["name"].removesuffix("-serve-svc"): b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]} if route else {}

    def loop(self) -> None:
        while not self.ended.is_set():
            weights = self.now()
            if weights and (not self.seen or self.seen[-1] != weights):
                self.seen.append(weights)
            time.sleep(0.1)

    def of(self, cluster: str) -> list[int]:
        """Its weights in order, a value once for as long as it stayed."""
        found: list[int] = []
        for weights in self.seen:
            if cluster in weights and (not found or found[-1] != weights[cluster]):
                found.append(weights[cluster])
        return found
