# SPDX-License-Identifier: Apache-2.0
"""Pod templates inside the objects of a build, and their bad twins: one fault each, and the words that its refusal must hold."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

Object = dict[str, Any]


def templates(o: Object) -> Iterator[tuple[str, Object]]:
    """Label and pod template (metadata, spec) of each pod that an object leads to."""
    kind, spec = o["kind"], o.get("spec", {})
    label = f"{kind}/{o['metadata']['name']}"
    if kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        yield label, spec["template"]
    elif kind == "CronJob":
        yield label, spec["jobTemplate"]["spec"]["template"]
    elif kind in ("RayService", "RayCluster"):
        cluster = spec["rayClusterConfig"] if kind == "RayService" else spec
        yield f"{label} head", cluster["headGroupSpec"]["template"]
        for group in cluster.get("workerGroupSpecs", []):
            yield f"{label} {group['groupName']}", group["template"]


def pod(o: Object, label: str, template: Object) -> Object:
    """A Pod of that template. KubeRay fills in commands; the API server asks for none."""
    name = "".join(c if c.isalnum() else "-" for c in label.lower())[:60].strip("-")
    found = {"apiVersion": "v1", "kind": "Pod", "metadata": {**copy.deepcopy(template.get("metadata", {})), "name": name, "namespace": o["metadata"]["namespace"]},
             "spec": copy.deepcopy(template["spec"])}
    if o["kind"] == "Job":
        found["spec"].setdefault("restartPolicy", "Never")
    return found


def everywhere(p: Object) -> list[Object]:
    """Security contexts of the pod and of each container, made where there are none."""
    spec = p["spec"]
    return [s.setdefault("securityContext", {}) for s in (spec, *spec["containers"], *spec.get("initContainers", []))]


def root(p: Object) -> None:
    for s in everywhere(p):
        s["runAsNonRoot"] = False


def uid_0(p: Object) -> None:
    for s in everywhere(p)[1:]:
        s["runAsUser"] = 0


def escalation(p: Object) -> None:
    everywhere(p)[1]["allowPrivilegeEscalation"] = True


def capabilities(p: Object) -> None:
    everywhere(p)[1].pop("capabilities", None)


def added(p: Object) -> None:
    everywhere(p)[1]["capabilities"] = {"drop": ["ALL"], "add": ["SYS_ADMIN"]}


def seccomp(p: Object) -> None:
    for s in everywhere(p):
        s.pop("seccompProfile", None)


def host_network(p: Object) -> None:
    p["spec"]["hostNetwork"] = True


def host_path(p: Object) -> None:
    p["spec"].setdefault("volumes", []).append({"name": "node", "hostPath": {"path": "/"}})


def privileged(p: Object) -> None:
    everywhere(p)[1] |= {"privileged": True, "allowPrivilegeEscalation": True}


def misspelt(p: Object) -> None:
    p["spec"]["containers"][0]["imagePullPolcy"] = "Always"


TWINS: dict[str, tuple[Callable[[Object], None], str]] = {
    "root": (root, "runAsNonRoot != true"),
    "user 0": (uid_0, "runAsUser=0"),
    "privilege escalation": (escalation, "allowPrivilegeEscalation != false"),
    "capabilities kept": (capabilities, 'must set securityContext.capabilities.drop=["ALL"]'),
    "capability added": (added, "SYS_ADMIN"),
    "no seccomp profile": (seccomp, "seccompProfile"),
    "the node's network": (host_network, "hostNetwork=true"),
    "a path of the node": (host_path, 'restricted volume type "hostPath"'),
    "privileged": (privileged, "privileged"),
    "a misspelt field": (misspelt, 'unknown field "spec.containers[0].imagePullPolcy"'),
}


def misspell(o: Object) -> tuple[Object, str] | None:
    """A copy of any object with one field's name misspelt, and that name; None where there is none to misspell."""
    twin = copy.deepcopy(o)
    at = twin.get("spec") if isinstance(twin.get("spec"), dict) and twin["spec"] else twin
    keys = sorted(k for k in at if k not in ("apiVersion", "kind", "metadata"))
    if not keys:
        return None
    wrong = keys[0] + keys[0][-1]
    at[wrong] = at.pop(keys[0])
    return twin, wrong
