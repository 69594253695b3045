# SPDX-License-Identifier: Apache-2.0
"""What the tests apply: CRDs at the versions of platform/modules.lock, and the builds of platform/ as Flux would make them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

import builds
import fluxcomponents
import schemas
from api import Api, ApiError, condition, wait

Object = dict[str, Any]
LOCAL = {**builds.VALUES, "CLUSTER": "local", "DEVICE": "cpu", "ROLLOUT": "new-cluster", "GPU_QUOTA": "0", "IMAGE_REPOSITORY": "localhost"}
UPSTREAM = {  # URL -> module of platform/modules.lock, folder of the repository that the module is
    "https://github.com/ray-project/kuberay": ("kuberay", "ray-operator"),
    "https://github.com/kedacore/keda": ("keda", ""),
    "https://github.com/kubernetes-sigs/gateway-api": ("gateway-api", ""),
    "https://github.com/envoyproxy/gateway": ("envoy-gateway", ""),
}
CLUSTER_WIDE_FIRST = ("CustomResourceDefinition", "Namespace", "ServiceAccount", "PriorityClass")


def crds(*names: str) -> list[Object]:
    """CustomResourceDefinitions of those modules, or of all; without their texts, which only cost time."""
    folders = schemas.modules(*(names or schemas.CRDS))
    found = []
    for name in names or schemas.CRDS:
        for folder in schemas.CRDS[name]:
            for path in sorted((Path(folders[name]) / folder).glob("*.yaml")):
                found += [d for d in yaml.load_all(path.read_text(encoding="utf-8"), Loader=builds.LOADER) if d and d.get("kind") == "CustomResourceDefinition"]
    for o in found:
        o["spec"] = fluxcomponents.without_descriptions(o["spec"])
    return found


def install_crds(api: Api, found: list[Object]) -> None:
    def create(o: Object) -> None:
        try:
            api.create(o)
        except ApiError as e:
            if e.code != 409:  # made by a call that was answered too late
                raise
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(create, found))
    for o in found:
        wait(lambda o=o: condition(api.get(o["apiVersion"], o["kind"], None, o["metadata"]["name"]), "Established").get("status") == "True", 30,
             f"CRD {o['metadata']['name']} is served")


def namespaces(api: Api, *extra: str) -> None:
    """Our policies for real: namespaces with their Pod Security level, admission policies, priorities. And Flux's namespace."""
    everything = builds.objects("apps/policies", LOCAL)
    everything.sort(key=lambda o: o["kind"] not in CLUSTER_WIDE_FIRST)
    for name in ("flux-system", *extra):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    for o in everything:
        api.apply(o)
    for name in ("default", "flux-system", "ray"):
        wait(lambda name=name: api.find("v1", "ServiceAccount", name, "default"), 30, f"namespace {name} has its default service account")


def upstream_builds(folder: str) -> dict[str, list[Object]]:
    """What the Flux Kustomizations of a build, whose source is a repository of others, make of it; by their names."""
    found = builds.objects(folder, LOCAL)
    repositories = builds.by_kind(found, "GitRepository")
    made = {}
    for name, k in builds.by_kind(found, "Kustomization").items():
        source = repositories.get(k["spec"]["sourceRef"]["name"])
        if k["apiVersion"].startswith("kustomize.toolkit") and source and source["spec"]["url"] in UPSTREAM:
            module, prefix = UPSTREAM[source["spec"]["url"]]
            below = {**k, "spec": {**k["spec"], "path": "./" + k["spec"]["path"].removeprefix("./").removeprefix(prefix).lstrip("/")}}
            made[name] = builds.upstream(below, schemas.modules(module)[module])
    return made


def apply_all(api: Api, found: list[Object]) -> None:
    for o in sorted(found, key=lambda o: o["kind"] not in CLUSTER_WIDE_FIRST):
        try:
            api.apply(o)
        except ApiError as e:
            raise AssertionError(f"{o['kind']} {o['metadata']['name']}: {e}") from e
