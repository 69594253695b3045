# SPDX-License-Identifier: Apache-2.0
"""A stand-in for scheduler and kubelet: no container is run. A pod is bound to one node, gets an address, is reported as running,
and as ready while its readiness probe is answered at that address (HTTP probes of pods that `probed` chooses; others count as
ready). A Job's pod has succeeded at once. A pod that is being deleted is gone at once: no hook of it runs.
"""

from __future__ import annotations

import itertools
import threading
import time
import urllib.request
from collections.abc import Callable

from api import Api, ApiError, Object

NAME = "stand-in"


def container_port(container: Object, port: int | str) -> int:
    if isinstance(port, int):
        return port
    return next(p["containerPort"] for p in container.get("ports", []) if p["name"] == port)


def probe(pod: Object, address: str) -> bool:
    """HTTP readiness probes of all containers, as the manifest writes them."""
    for container in pod["spec"]["containers"]:
        get = (container.get("readinessProbe") or {}).get("httpGet")
        if not get:
            continue
        url = f"http://{address}:{container_port(container, get['port'])}{get.get('path', '/')}"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status >= 400:
                    return False
        except OSError:
            return False
    return True


class Node:
    def __init__(self, api: Api, probed: Callable[[Object], bool] = lambda pod: False):
        self.api, self.probed = api, probed
        self.pods: dict[str, Object] = {}  # by uid
        self.addresses: dict[str, str] = {}  # uid -> address
        self.shown: dict[str, bool] = {}  # uid -> whether it was reported ready
        self.numbers = itertools.count(10)
        self.ended = threading.Event()
        self.faults: list[str] = []
        self.threads = [threading.Thread(target=self.guarded, args=(f,), daemon=True) for f in (self.follow, self.tend)]

    def start(self) -> None:
        self.api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME, "labels": {"pool": "cpu", "kubernetes.io/hostname": NAME}}})
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join(20)

    def guarded(self, step: Callable[[], None]) -> None:
        while not self.ended.is_set():
            try:
                step()
            except (ApiError, OSError, KeyError, ValueError) as e:
                if not self.ended.is_set():
                    self.faults.append(f"{step.__name__}: {e!r}")
                    time.sleep(0.5)

    def follow(self) -> None:
        for event, pod in self.api.watch("v1", "Pod", seconds=5):
            if event == "DELETED":
                self.pods.pop(pod["metadata"]["uid"], None)
            elif event in ("ADDED", "MODIFIED"):
                self.pods[pod["metadata"]["uid"]] = {"apiVersion": "v1", "kind": "Pod", **pod}
            if self.ended.is_set():
                return

    def tend(self) -> None:
        for uid, pod in list(self.pods.items()):
            try:
                self.one(uid, pod)
            except ApiError as e:
                if e.code not in (404, 409):  # gone, or changed meanwhile: the next round sees it
                    raise
        self.ended.wait(0.3)

    def one(self, uid: str, pod: Object) -> None:
        meta = pod["metadata"]
        if meta.get("deletionTimestamp"):
            self.api.delete(pod, grace=0)
            self.pods.pop(uid, None)
            return
        if not pod["spec"].get("nodeName"):
            self.api.request("POST", self.api.path_of(pod, "binding"), {
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
                "target": {"apiVersion": "v1", "kind": "Node", "name": NAME}})
            return
        if uid not in self.addresses:
            n = next(self.numbers)
            self.addresses[uid] = f"10.244.{n // 250}.{n % 250 + 1}"
        address = self.addresses[uid]
        ready = not self.probed(pod) or probe(pod, address)
        if self.shown.get(uid) != ready:
            self.api.patch(pod, {"status": self.status(pod, address, ready)}, "status")
            self.shown[uid] = ready

    @staticmethod
    def status(pod: Object, address: str, ready: bool) -> Object:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

        def containers(key: str, state: Object, is_ready: bool) -> list[Object]:
            return [{"name": c["name"], "image": c["image"], "imageID": c["image"], "containerID": f"stand-in://{c['name']}", "ready": is_ready,
                     "started": True, "restartCount": 0, "state": state} for c in pod["spec"].get(key, [])]
        done = any(r["kind"] == "Job" for r in pod["metadata"].get("ownerReferences", []))
        ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
        word = "True" if ready and not done else "False"
        return {
            "phase": "Succeeded" if done else "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "10.255.0.1", "startTime": now,
            "conditions": [{"type": t, "status": s, "lastTransitionTime": now} for t, s in
                           (("PodScheduled", "True"), ("Initialized", "True"), ("ContainersReady", word), ("Ready", word))],
            "containerStatuses": containers("containers", ended if done else {"running": {"startedAt": now}}, ready and not done),
            "initContainerStatuses": containers("initContainers", ended, True),
        }

    def pod_at(self, address: str) -> Object | None:
        """The pod that has this address."""
        return next((self.pods.get(uid) for uid, a in list(self.addresses.items()) if a == address and uid in self.pods), None)
