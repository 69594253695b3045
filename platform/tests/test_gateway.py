# SPDX-License-Identifier: Apache-2.0
"""Envoy Gateway's own translator (egctl, at the pinned version) on our gateway, policies and routes: are they accepted, and does
what the proxies would get ask for the key, limit the rate, and let through nothing but our paths?
"""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import yaml

import builds
import fluxcomponents
from builds import by_kind, objects

Objects = list[dict[str, Any]]


def certificate() -> dict[str, str]:
    """What cert-manager would put into the Secret gateway-tls: made here and thrown away."""
    with tempfile.TemporaryDirectory() as scratch:
        key, cert = Path(scratch) / "key", Path(scratch) / "cert"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=test",
                        "-addext", f"subjectAltName=DNS:{builds.VALUES['HOST']}", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        return {"tls.crt": base64.b64encode(cert.read_bytes()).decode(), "tls.key": base64.b64encode(key.read_bytes()).decode()}


def service(namespace: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": "10.0.0.9", "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}]}}


def world(access: str = "key") -> Objects:
    """Everything that Envoy Gateway looks at."""
    kinds = {"Gateway", "HTTPRoute", "EnvoyProxy", "ClientTrafficPolicy", "BackendTrafficPolicy", "SecurityPolicy"}
    found = [by_kind(objects("apps/ingress/envoy"), "GatewayClass")["envoy"]]
    found += [o for o in objects("apps/policies") if o["kind"] == "Namespace"]
    for folder in (f"apps/ingress/gateway/{access}", "apps/ingress/routes/ray"):
        found += [copy.deepcopy(o) for o in objects(folder) if o["kind"] in kinds]
    # egctl reads Namespaces without their labels, so a selector of them finds none
    for listener in by_kind(found, "Gateway")["inferd"]["spec"]["listeners"]:
        if listener["allowedRoutes"]["namespaces"]["from"] == "Selector":
            listener["allowedRoutes"]["namespaces"] = {"from": "All"}
    secrets = [("gateway-tls", "kubernetes.io/tls", certificate()), ("api-keys", "Opaque", {"alice": base64.b64encode(b"not-a-key-of-anybody").decode()})]
    found += [{"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name, "namespace": "ingress"}, "data": data} for name, kind, data in secrets]
    return [*found, service("ray", "inferd-serve-svc")]


def translate(found: Objects, to: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "in.yaml"
        path.write_text(yaml.safe_dump_all(found), encoding="utf-8")
        done = subprocess.run([fluxcomponents.tool("egctl"), "x", "translate", "--from", "gateway-api", "--to", to, "--output", "json", "--file", str(path)],
                              capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def verdicts(result: dict[str, Any]) -> dict[tuple[str, str, str], tuple[str, str]]:
    """(kind, name, condition) -> (status, message), of every parent and ancestor, the worst of them."""
    said: dict[tuple[str, str, str], tuple[str, str]] = {}
    for value in result.values():
        for o in value if isinstance(value, list) else [value]:
            if not isinstance(o, dict) or "kind" not in o:
                continue
            status = o.get("status") or {}
            lists = [status.get("conditions")] + [p.get("conditions") for key in ("parents", "ancestors", "listeners") for p in status.get(key) or []]
            for c in (c for conditions in lists for c in conditions or []):
                at = (o["kind"], o["metadata"]["name"], c["type"])
                if said.get(at, ("True",))[0] == "True":
                    said[at] = (c["status"], c["message"])
    return said


class Gateway(unittest.TestCase):
    def test_everything_is_accepted(self):
        for access in ("key", "open"):
            said = verdicts(translate(world(access), "gateway-api"))
            wanted = [("Gateway", "inferd", "Accepted"), ("Gateway", "inferd", "ResolvedRefs"), ("HTTPRoute", "ray", "Accepted"), ("HTTPRoute", "ray", "ResolvedRefs"),
                      ("HTTPRoute", "to-https", "Accepted"), ("ClientTrafficPolicy", "inferd", "Accepted"), ("BackendTrafficPolicy", "inferd", "Accepted")]
            for at in wanted + [("SecurityPolicy", "api-key", "Accepted")] * (access == "key"):
                self.assertEqual(said.get(at, ("absent", ""))[0], "True", f"{access}: {at}: {said.get(at)}")

    def test_without_the_keys_nobody_is_let_in(self):
        """The Secret is missing: the policy says so by name, and every path of the listener answers 500."""
        found = [o for o in world() if o["metadata"]["name"] != "api-keys"]
        status, message = verdicts(translate(found, "gateway-api"))["SecurityPolicy", "api-key", "Accepted"]
        self.assertEqual(status, "False")
        self.assertIn("api-keys", message)
        routes = self.routes(translate(found, "xds"))
        self.assertTrue(routes)
        self.assertEqual({r.get("directResponse", {}).get("status") for r in routes}, {500})

    def test_the_gateway_has_a_key_of_the_server(self):
        """clusters/components/server-keys: the proxy injects its credential in each route, and answers 500 where it has none."""
        values = {**builds.VALUES, "BACKEND": "inferd"}
        stage = by_kind(builds.switched("clusters/prod/stages", "c-server+server-keys", values), "Kustomization")["routes"]
        plain = [o for o in world() if o["metadata"]["name"] not in ("ray", "inferd-serve-svc")] + [service("inferd", "inferd")]
        key = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "server-key-gateway", "namespace": "inferd"},
               "data": {"credential": base64.b64encode(b"Bearer not-a-key-of-anybody").decode()}}
        keyed = [*plain, *builds.with_components(stage, values)]
        self.assertEqual(verdicts(translate([*keyed, key], "gateway-api"))["HTTPRoute", "inferd", "Accepted"][0], "True")
        injector, paths = "envoy.filters.http.credential_injector", {"/infer", "/readyz", "/info"}
        for found, status, injected in (([*keyed, key], None, True), (keyed, 500, False), ([*plain, *objects("apps/ingress/routes/inferd", values)], None, False)):
            routes = self.routes(translate(found, "xds"))
            self.assertEqual({r["match"].get("path") for r in routes} & paths, paths)
            for r in (r for r in routes if r["match"].get("path") in paths):
                self.assertEqual(r.get("directResponse", {}).get("status"), status)
                self.assertEqual(any(name.startswith(injector) for name in r.get("typedPerFilterConfig", {})), injected, r)

    @staticmethod
    def routes(result: dict[str, Any]) -> Objects:
        """The routes of the HTTPS listener."""
        found = []

        def walk(value: Any) -> None:
            if isinstance(value, dict):
                if "virtualHosts" in value and "https" in value.get("name", ""):
                    found.extend(r for host in value["virtualHosts"] for r in host.get("routes", []))
                for v in value.values():
                    walk(v)
            elif isinstance(value, list):
                for v in value:
                    walk(v)
        walk(result["xds"])
        return found

    def test_what_the_proxies_get(self):
        result = translate(world(), "xds")
        routes = self.routes(result)
        matches = {(r["match"].get("path"), tuple(h["stringMatch"]["exact"] for h in r["match"].get("headers", []) if h["name"] == ":method")) for r in routes}
        self.assertEqual(matches, {("/infer", ("POST",)), ("/readyz", ("GET",)), ("/info", ("GET",))})
        for r in routes:
            filters = r["typedPerFilterConfig"]
            (key,) = [f for name, f in filters.items() if "api_key_auth" in name]
            self.assertEqual(key["credentials"][0]["client"], "alice")
            (limit,) = [f for name, f in filters.items() if "local_ratelimit" in name]
            self.assertTrue(limit["rateLimits"] and limit["descriptors"], "a bucket for each address")
            self.assertEqual(r["route"]["retryPolicy"]["numRetries"], 1)
        text = json.dumps(result["xds"])
        self.assertIn("TLSv1_2", text)


if __name__ == "__main__":
    unittest.main()
