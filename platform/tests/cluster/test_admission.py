# SPDX-License-Identifier: Apache-2.0
"""Every object of every build against the real API server: a server-side dry run with the CRDs of the pinned versions, in
namespaces with their real Pod Security labels, under our own admission policies. Each has a twin that must be refused.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import builds
import trees
import workloads
from api import Api, ApiError
from controlplane import ControlPlane

# Types that only GKE serves: their schemas are written by hand and checked by kubeconform (test_manifests.py).
NOT_SERVED = {"networking.gke.io/v1"}
COUNTS: Counter[str] = Counter()


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Api:
    api = plane.api()
    trees.install_crds(api, trees.crds())
    trees.namespaces(api, "ingress-nginx")
    return api


@pytest.fixture(scope="module", autouse=True)
def counts(note: Callable[[str], None]) -> Iterator[None]:
    yield
    note(f"admission: {COUNTS['objects']} objects of {COUNTS['builds']} builds accepted by a dry run, {COUNTS['misspelt']} misspelt twins refused; "
         f"{COUNTS['pods']} pod templates admitted, {COUNTS['pod twins']} bad twins of {len(workloads.TWINS)} kinds refused; "
         f"{COUNTS['not served']} objects of types that only GKE serves left out")


def sets() -> list[tuple[str, str]]:
    """Builds of ours, and what Flux makes of the repositories of others."""
    return [(f, "") for f in builds.applied() if "flux-system" not in f] + [
        (f, name) for f in ("apps/kuberay/operator", "apps/kuberay/incremental", "apps/keda") for name in trees.upstream_builds(f)]


def objects(folder: str, name: str) -> list[trees.Object]:
    found = trees.upstream_builds(folder)[name] if name else builds.objects(folder, trees.LOCAL)
    for o in found:  # as kustomize-controller's or kubectl's default
        if o["kind"] != "Namespace":
            o["metadata"].setdefault("namespace", "default")
    return found


def refusal(act: Callable[[], object]) -> str:
    """What the server said no with. An AssertionError where it said yes."""
    try:
        act()
    except ApiError as e:
        return e.message
    raise AssertionError("accepted")


@pytest.mark.parametrize(("folder", "name"), sets(), ids=lambda v: v or "ours")
def test_build(api: Api, folder: str, name: str) -> None:
    found = objects(folder, name)
    assert found, f"{folder} builds to nothing"
    COUNTS["builds"] += 1
    accounts = {o["metadata"]["name"] for o in found if o["kind"] == "ServiceAccount"}
    faults = []
    for o in found:
        label = f"{o['apiVersion']} {o['kind']} {o['metadata']['name']}"
        if o["apiVersion"] in NOT_SERVED:
            COUNTS["not served"] += 1
            continue
        try:
            if o["kind"] in ("Namespace", "ServiceAccount", "PriorityClass"):
                api.apply(o)  # for real: others of the build need them
            else:
                api.apply(o, dry_run=True)
        except ApiError as e:
            faults.append(f"{label}: {e}")
            continue
        COUNTS["objects"] += 1
        twin = workloads.misspell(o)
        if twin and o["kind"] not in ("Namespace", "ServiceAccount"):
            said = refusal(lambda t=twin[0]: api.apply(t, dry_run=True))
            if twin[1] not in said:
                faults.append(f"{label}: refused for {twin[1]}, but with: {said}")
            COUNTS["misspelt"] += 1
        for where, template in workloads.templates(o):
            faults += pods(api, o, where, template, accounts)
    assert not faults, "\n".join(faults)


def pods(api: Api, o: trees.Object, where: str, template: trees.Object, accounts: set[str]) -> list[str]:
    """Faults of one pod template: the good one refused, or a bad twin accepted."""
    good = workloads.pod(o, where, template)
    account = good["spec"].get("serviceAccountName")
    if account and account not in accounts:
        return [f"{where}: no service account {account} in its build"]
    try:
        api.create(good, dry_run=True)
    except ApiError as e:
        return [f"{where}: {e}"]
    COUNTS["pods"] += 1
    level = api.get("v1", "Namespace", None, good["metadata"]["namespace"])["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
    faults = []
    for name, (spoil, words) in workloads.TWINS.items():
        if level != "restricted" and name != "a misspelt field":
            continue
        bad = copy.deepcopy(good)
        spoil(bad)
        try:
            said = refusal(lambda bad=bad: api.create(bad, dry_run=True))
        except AssertionError:
            faults.append(f"{where} with {name}: accepted in {good['metadata']['namespace']}")
            continue
        COUNTS["pod twins"] += 1
        if words not in said:
            faults.append(f"{where} with {name}: refused, but with: {said}")
    return faults


def test_no_service_is_reachable_from_outside(api: Api) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dashboard", "namespace": "ray"},
               "spec": {"ports": [{"port": 8265}], "selector": {"ray.io/node-type": "head"}}}
    api.create(service, dry_run=True)
    for change in ({"type": "LoadBalancer"}, {"type": "NodePort"}, {"externalIPs": ["192.0.2.1"]}):
        bad = {**service, "spec": {**service["spec"], **change}}
        assert "Services of this namespace" in refusal(lambda bad=bad: api.create(bad, dry_run=True))
        api.create({**bad, "metadata": {**bad["metadata"], "namespace": "default"}}, dry_run=True)  # elsewhere it is nobody's business


def test_no_ray_without_its_token(api: Api) -> None:
    service = next(o for o in objects("apps/ray/overlays/local", "") if o["kind"] == "RayService")
    bad = copy.deepcopy(service)
    del bad["spec"]["rayClusterConfig"]["authOptions"]
    assert "authOptions.mode" in refusal(lambda: api.apply(bad, dry_run=True))
    cluster = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "own", "namespace": "ray"}, "spec": bad["spec"]["rayClusterConfig"]}
    assert "authOptions.mode" in refusal(lambda: api.apply(cluster, dry_run=True))
    cluster["spec"]["authOptions"] = {"mode": "token"}
    api.apply(cluster, dry_run=True)


def test_a_namespace_is_restricted_by_its_label(api: Api) -> None:
    """The control of all the above: what the namespaces refuse is refused for their label, not for something else."""
    service = next(o for o in objects("apps/inferd/overlays/local", "") if o["kind"] == "Deployment")
    where, template = next(workloads.templates(service))
    pod = workloads.pod(service, where, template)
    workloads.root(pod)
    assert "restricted" in refusal(lambda: api.create(pod, dry_run=True))
    open_ = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "open", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    api.apply(open_)
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "inferd", "namespace": "open"}})
    pod["metadata"]["namespace"] = "open"
    api.create(pod, dry_run=True)
