# SPDX-License-Identifier: Apache-2.0
"""KubeRay's operator, the release that platform/apps/kuberay installs, with its own rights and its own arguments, walking the
RayServices of platform/apps/ray. No container runs: node.py is the kubelet, dashboard.py is Ray (see there).
"""

from __future__ import annotations

import copy
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml

import trees
from api import Api, wait
from claims import Claims
from controlplane import ControlPlane
from dashboard import APPLICATIONS, DASHBOARD, Ray
from dns import Names
from node import Node
from processes import Process
from rayservice import Service, Weights, broken, build, image

PATIENCE_S = 10  # how long something that must not happen is waited for


@dataclass
class World:
    plane: ControlPlane
    api: Api
    node: Node
    ray: Ray
    claims: Claims
    operator: Process | None = None

    def operate(self, stage: str) -> None:
        """(Re)starts the operator as a stage of apps/kuberay installs it: its arguments are the manifest's, its rights are those
        of its service account."""
        if self.operator:
            self.operator.stop()
        found = trees.upstream_builds(f"apps/kuberay/{stage}")["kuberay-operator"]
        trees.apply_all(self.api, [o for o in found if o["kind"] != "CustomResourceDefinition"])
        deployment = next(o for o in found if o["kind"] == "Deployment")
        args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "kuberay-operator"
        self.api.request("DELETE", self.api.path("coordination.k8s.io/v1", "Lease", "kuberay-system"))  # of the one that was stopped
        kubeconfig = self.plane.kubeconfig("kuberay-system/kuberay-operator")
        self.operator = self.plane.run("ray-operator", *args, f"--kubeconfig={kubeconfig}", "--leader-election-namespace=kuberay-system",
                                       "--metrics-addr=127.0.0.1:8081", "--health-probe-bind-address=127.0.0.1:8082")


@pytest.fixture(scope="module")
def world(plane: ControlPlane) -> Iterator[World]:
    api = plane.api()
    trees.install_crds(api, trees.crds("kuberay", "gateway-api"))
    trees.namespaces(api)
    node = Node(api, probed=lambda pod: "ray.io/cluster" in pod["metadata"].get("labels", {}))
    parts = [node, Names(api), Ray(api, node, broken), Claims(api, kinds=("Gateway", "HTTPRoute"))]
    for part in parts:
        part.start()
    world = World(plane, api, node, parts[2], parts[3])
    world.operate("operator")
    try:
        yield world
    finally:
        for part in reversed(parts):
            part.stop()


def service_of(found: list[trees.Object]) -> trees.Object:
    return next(o for o in found if o["kind"] == "RayService")


def never(check: Callable[[], object], what: str) -> None:
    """Nothing that makes `check` true within PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = check()
        assert not found, f"{what}: {found!r}"
        time.sleep(0.2)


def test_pending_then_active(world: World, note: Callable[[str], None]) -> None:
    began = time.monotonic()
    found = build("local")
    trees.apply_all(world.api, found)
    service = Service(world.api, "inferd")
    pending = wait(lambda: not service.cluster("active") and service.cluster("pending"), 60, "a pending cluster before an active one", service.status)
    assert service.says("Ready") != "True"
    assert service.settle() == pending, "the cluster that was pending became the active one"
    note(f"kuberay: pending to active in {time.monotonic() - began:.0f} s")

    pods = [p for p in world.node.pods.values() if p["metadata"]["labels"].get("ray.io/cluster") == pending]
    assert {p["metadata"]["labels"]["ray.io/node-type"] for p in pods} == {"head", "worker"}
    # They are in a restricted namespace, so the API server admitted what the operator made of our templates, init containers too.
    assert any(p["spec"].get("initContainers") for p in pods)
    wanted = yaml.safe_load(service_of(found)["spec"]["serveConfigV2"])
    assert world.ray.clusters[pending].config == wanted, "Serve was given the configuration of the file"
    slices = world.api.list("discovery.k8s.io/v1", "EndpointSlice", "ray", "kubernetes.io/service-name=inferd-serve-svc")
    behind = {e["targetRef"]["name"] for s in slices for e in s["endpoints"] if e["conditions"]["ready"]}
    assert behind == {p["metadata"]["name"] for p in pods if p["metadata"]["labels"]["ray.io/node-type"] == "worker"}, "workers serve, the head does not"


def test_the_dashboard_wants_the_token(world: World) -> None:
    """The operator was let in each time; who has no token, or another cluster's, is not."""
    assert world.ray.refused == 0
    head = world.ray.head(Service(world.api, "inferd").cluster("active"))
    url = f"http://{head['status']['podIP']}:{DASHBOARD}{APPLICATIONS}"
    for header in ({}, {"x-ray-authorization": "Bearer wrong"}):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(urllib.request.Request(url, headers=header), timeout=5)
        assert refusal.value.code == 401
    with urllib.request.urlopen(urllib.request.Request(url, headers={"x-ray-authorization": f"Bearer {world.ray.token(head)}"}), timeout=5) as answer:
        assert json.load(answer)["applications"]["inferd"]["status"] == "RUNNING"
    world.ray.refused = 0


def test_an_unhealthy_application_never_becomes_active(world: World) -> None:
    found = image(service_of(build("local", "unwell")), "1-broken")
    world.api.apply(found)
    service = Service(world.api, "unwell")
    pending = wait(lambda: service.cluster("pending"), 60, "a pending cluster", service.status)
    wait(lambda: service.status().get("pendingServiceStatus", {}).get("applicationStatuses", {}).get("inferd", {}).get("status") == "DEPLOY_FAILED", 60,
         "the status says what is wrong", service.status)
    never(lambda: service.cluster("active") or service.says("Ready") == "True" or service.served_by(), "an unhealthy service became active")
    assert service.cluster("pending") == pending
    service.remove()


def test_blue_green(world: World, note: Callable[[str], None]) -> None:
    service, good = Service(world.api, "inferd"), service_of(build("local"))
    assert good["spec"]["upgradeStrategy"]["type"] == "NewCluster"
    blue = service.settle()
    world.api.apply(image(good, "2"))
    green = wait(lambda: service.cluster("pending"), 60, "a second cluster", service.status)
    at_once = []

    def moved() -> bool:
        """The Service points to the new cluster; every look before it is kept."""
        target = service.served_by()
        at_once.append((target, world.ray.status(green)))
        return target == green
    wait(moved, 60, "the Service points to the new cluster", service.status)
    assert all(target == blue for target, status in at_once[:-1]) and at_once[-1][1] == "RUNNING", at_once
    assert any(status != "RUNNING" for _, status in at_once[:-1]), "it was looked at before the new cluster could answer"
    assert service.settle(blue) == green
    wait(lambda: service.clusters() == {green}, 60, "the old cluster is deleted", service.clusters)
    wait(lambda: {p["metadata"]["labels"]["ray.io/cluster"] for p in world.api.list("v1", "Pod", "ray")} == {green}, 60, "and its pods")
    note(f"kuberay: blue/green: Service moved from {blue} to {green} after the new application ran, the old cluster deleted")


def test_blue_green_stays_with_a_bad_release(world: World) -> None:
    service, good = Service(world.api, "inferd"), image(service_of(build("local")), "2")
    blue = service.settle()
    world.api.apply(image(good, "3-broken"))
    green = wait(lambda: service.cluster("pending"), 60, "a second cluster", service.status)
    wait(lambda: world.ray.status(green) == "DEPLOY_FAILED", 60, "the new application fails")
    never(lambda: service.served_by() != blue or service.cluster("active") != blue or service.says("Ready") != "True", "traffic left the good cluster")
    assert service.says("UpgradeInProgress") == "True"
    world.api.apply(good)  # git revert
    wait(lambda: service.cluster("pending") not in (green,), 60, "the bad cluster is given up", service.status)
    # the good cluster, or one more of the same that takes its place
    wait(lambda: service.clusters() == {service.cluster("active")}, 60, "one cluster is left, the active one", service.clusters)
    assert not broken(world.ray.head(service.settle()))


def test_in_place(world: World) -> None:
    """For a GPU quota of 1: a changed configuration reaches the running cluster; a changed template waits."""
    Service(world.api, "inferd").remove()
    good, service = service_of(build("cpu-in-place", "placed")), Service(world.api, "placed")
    assert good["spec"]["upgradeStrategy"]["type"] == "None"
    world.api.apply(good)
    cluster = service.settle()
    changed = copy.deepcopy(good)
    config = yaml.safe_load(changed["spec"]["serveConfigV2"])
    config["applications"][0]["args"]["max_replicas"] = 3
    changed["spec"]["serveConfigV2"] = yaml.safe_dump(config)
    world.api.apply(changed)
    wait(lambda: world.ray.clusters[cluster].config == config, 30, "the running cluster has the new configuration")
    world.api.apply(image(changed, "4"))
    never(lambda: service.clusters() != {cluster} or service.cluster("pending"), "a second cluster in a place for one")
    service.remove()


@pytest.fixture(scope="module")
def incremental(world: World) -> Iterator[trees.Object]:
    """An active RayService of the incremental overlay, with short steps; the operator has its feature gate."""
    world.operate("incremental")
    good = service_of(build("cpu-incremental", "steps"))
    options = good["spec"]["upgradeStrategy"]["clusterUpgradeOptions"]
    assert good["spec"]["upgradeStrategy"]["type"] == "NewClusterWithIncrementalUpgrade"
    options |= {"intervalSeconds": 1, "stepSizePercent": 25}  # maxSurgePercent stays the tree's
    world.api.apply(good)
    Service(world.api, "steps").settle()
    yield good


def test_incremental_waits_for_the_gateway(world: World, incremental: trees.Object) -> None:
    """Negative control: while no Gateway is programmed, no capacity and no traffic moves."""
    service = Service(world.api, "steps")
    old = service.cluster("active")
    world.claims.verdict["Gateway"] = False
    wait(lambda: "False" in str(world.api.get("gateway.networking.k8s.io/v1", "Gateway", "ray", "steps-gateway")["status"]["conditions"]), 30, "the Gateway is not programmed")
    world.api.apply(image(incremental, "5"))
    new = wait(lambda: service.cluster("pending"), 60, "a second cluster", service.status)
    with Weights(service) as weights:
        wait(lambda: world.ray.head(new), 60, "its head")
        never(lambda: max(weights.of(new), default=0) > 0, "traffic moved without a Gateway")
    assert service.cluster("active") == old
    world.claims.verdict["Gateway"] = True


def test_incremental_moves_in_steps(world: World, incremental: trees.Object, note: Callable[[str], None]) -> None:
    service = Service(world.api, "steps")
    old, new = service.cluster("active"), service.cluster("pending")
    with Weights(service) as weights:
        assert service.settle(old, 150) == new
    seen = weights.of(new)
    assert seen[0] == 0 and seen[-1] == 100 and seen == sorted(seen), seen
    assert all(b - a <= 25 for a, b in zip(seen, seen[1:])), f"no step is larger than stepSizePercent: {seen}"
    assert all(sum(w.values()) == 100 for w in weights.seen), weights.seen
    surge = incremental["spec"]["upgradeStrategy"]["clusterUpgradeOptions"]["maxSurgePercent"]
    capacities = world.ray.clusters[new].capacities
    assert capacities == sorted(capacities) and capacities[-1] == 100, capacities
    assert all(b - a <= surge for a, b in zip([0, *capacities], capacities)), capacities
    note(f"kuberay: incremental: weights of the new cluster {seen}, its target_capacity {capacities}")


def test_incremental_rollback(world: World, incremental: trees.Object, note: Callable[[str], None]) -> None:
    service, good = Service(world.api, "steps"), image(incremental, "5")
    old = service.settle()
    world.api.apply(image(incremental, "6"))
    new = wait(lambda: service.cluster("pending"), 60, "a second cluster", service.status)
    with Weights(service) as weights:
        wait(lambda: max(weights.of(new), default=0) >= 25, 90, "some traffic moved", service.status)
        world.api.apply(good)  # git revert in the middle
        wait(lambda: service.says("RollbackInProgress") == "True", 30, "the operator rolls back", service.status)
        assert service.settle(seconds=120) == old
    seen = weights.of(new)
    assert max(seen) < 100, seen
    assert weights.now().get(old) == 100 and not weights.now().get(new), weights.now()
    wait(lambda: service.clusters() == {old}, 60, "the cluster of the release that was given up is deleted", service.clusters)
    note(f"kuberay: rollback: weights of the new cluster {seen}")


def test_incremental_gives_a_bad_release_nothing(world: World, incremental: trees.Object) -> None:
    service = Service(world.api, "steps")
    old = service.settle()
    world.api.apply(image(incremental, "7-broken"))
    new = wait(lambda: service.cluster("pending"), 60, "a second cluster", service.status)
    wait(lambda: world.ray.status(new) == "DEPLOY_FAILED", 60, "the new application fails", service.status)
    with Weights(service) as weights:
        never(lambda: max(weights.of(new), default=0) > 0, "traffic moved to a cluster that cannot answer")
    assert service.cluster("active") == old and service.says("Ready") == "True"


def test_stand_ins_had_no_faults(world: World) -> None:
    assert world.operator and world.operator.alive()
    assert world.ray.refused == 0, "the operator always had the right token"
    assert len(world.node.faults) < 5 and len(world.claims.faults) < 5, (world.node.faults, world.claims.faults)
