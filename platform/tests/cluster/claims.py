# SPDX-License-Identifier: Apache-2.0
"""What controllers that are not run here would report: Envoy Gateway of its Gateways, routes and policies, cert-manager of its
certificates, KEDA of its scalers. Every object of those kinds gets the status that its controller writes when all is well, or the
one of a fault, as `verdict` says of its kind.
"""

from __future__ import annotations

import threading
import time

from api import Api, ApiError, Object

GATEWAY, ENVOY = "gateway.networking.k8s.io/v1", "gateway.envoyproxy.io/v1alpha1"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


def conditions(o: Object, **words: bool) -> list[Object]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [{"type": t, "status": "True" if ok else "False", "reason": "StandIn" if ok else "Refused", "message": "written by a test",
             "lastTransitionTime": now, "observedGeneration": o["metadata"]["generation"]} for t, ok in words.items()]


def gateway_class(o: Object, ok: bool) -> Object:
    return {"conditions": conditions(o, Accepted=ok)}


def gateway(o: Object, ok: bool) -> Object:
    kinds = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]
    return {"conditions": conditions(o, Accepted=ok, Programmed=ok), "listeners": [
        {"name": ln["name"], "attachedRoutes": 1, "supportedKinds": kinds, "conditions": conditions(o, Accepted=ok, Programmed=ok, ResolvedRefs=ok)}
        for ln in o["spec"]["listeners"]]}


def route(o: Object, ok: bool) -> Object:
    return {"parents": [{"parentRef": p, "controllerName": CONTROLLER, "conditions": conditions(o, Accepted=ok, ResolvedRefs=ok)}
                        for p in o["spec"]["parentRefs"]]}


def policy(o: Object, ok: bool) -> Object:
    return {"ancestors": [{"ancestorRef": {"group": t["group"], "kind": t["kind"], "name": t["name"]}, "controllerName": CONTROLLER,
                           "conditions": conditions(o, Accepted=ok)} for t in o["spec"]["targetRefs"]]}


def ready(o: Object, ok: bool) -> Object:
    return {"conditions": conditions(o, Ready=ok)}


def certificate(o: Object, ok: bool) -> Object:
    return {"conditions": conditions(o, Ready=True) if ok else [{**c, "reason": "Failed"} for c in conditions(o, Issuing=False, Ready=False)]}


KINDS = {
    (GATEWAY, "GatewayClass"): gateway_class, (GATEWAY, "Gateway"): gateway, (GATEWAY, "HTTPRoute"): route,
    (ENVOY, "SecurityPolicy"): policy, (ENVOY, "BackendTrafficPolicy"): policy, (ENVOY, "ClientTrafficPolicy"): policy,
    ("cert-manager.io/v1", "Certificate"): certificate, ("cert-manager.io/v1", "Issuer"): ready, ("keda.sh/v1alpha1", "ScaledObject"): ready,
}


class Claims:
    def __init__(self, api: Api, kinds: tuple[str, ...] = tuple(kind for _, kind in KINDS), releases: bool = False):
        """`releases`: of HelmReleases too, where helm-controller was not built."""
        self.api, self.kinds = api, (*kinds, "HelmRelease") if releases else kinds
        self.verdict: dict[str, bool | None] = {}  # kind -> True (the default), False, or None for no word at all
        self.written: dict[str, tuple[int, bool]] = {}
        self.ended = threading.Event()
        self.faults: list[str] = []
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.ended.set()
        self.thread.join(20)

    def loop(self) -> None:
        while not self.ended.wait(0.4):
            try:
                self.statuses()
            except (ApiError, OSError) as e:
                if not self.ended.is_set():
                    self.faults.append(repr(e))

    def statuses(self) -> None:
        for (version, kind), status in (*KINDS.items(), (("helm.toolkit.fluxcd.io/v2", "HelmRelease"), ready)):
            verdict = self.verdict.get(kind, True)
            if kind not in self.kinds or verdict is None:
                continue
            try:
                found = self.api.list(version, kind)
            except ApiError as e:
                if e.code == 404:  # its CRD has not come yet
                    continue
                raise
            for o in found:
                key, now = o["metadata"]["uid"], (o["metadata"]["generation"], verdict)
                if self.written.get(key) == now or o["metadata"].get("deletionTimestamp"):
                    continue
                try:
                    seen = {"observedGeneration": o["metadata"]["generation"]} if kind == "HelmRelease" else {}
                    self.api.patch(o, {"status": {**status(o, verdict), **seen}}, "status")
                    self.written[key] = now
                except ApiError as e:
                    if e.code != 404:
                        raise
