# SPDX-License-Identifier: Apache-2.0
"""A stand-in for what Ray answers inside its pods: the dashboard's Serve API on port 8265, Serve's proxy on port 8000, and the
health of a Ray node on port 52365, which KubeRay's probes ask.

One listener serves every pod's address; which RayCluster is meant follows from the address that was called. A cluster keeps
the Serve configuration that it was given; its applications are DEPLOYING for a moment and then RUNNING, or DEPLOY_FAILED where
`broken` says so of the head pod. A call without the cluster's own token is answered 401.
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from api import Api, Object
from node import Node

DASHBOARD, PROXY, AGENT = 8265, 8000, 52365
DEPLOYING_S = 1.5
APPLICATIONS = "/api/serve/applications/"


@dataclass
class Serve:
    """What one RayCluster's Serve was told."""
    config: Object = field(default_factory=dict)
    since: float = 0.0
    capacities: list[int] = field(default_factory=list)  # target_capacity as it was set, in order


class Ray:
    def __init__(self, api: Api, node: Node, broken: Callable[[Object], bool]):
        self.api, self.node, self.broken = api, node, broken
        self.clusters: dict[str, Serve] = {}
        self.refused = 0  # calls without the right token
        self.lock = threading.Lock()
        self.servers = [http.server.ThreadingHTTPServer(("0.0.0.0", port), self.handler(port)) for port in (DASHBOARD, PROXY, AGENT)]

    def start(self) -> None:
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def token(self, pod: Object) -> str:
        """The token of the pod's own environment, as Ray reads it."""
        environment = next(e for c in pod["spec"]["containers"] for e in c.get("env", []) if e["name"] == "RAY_AUTH_TOKEN")
        ref = environment["valueFrom"]["secretKeyRef"]
        secret = self.api.get("v1", "Secret", pod["metadata"]["namespace"], ref["name"])
        return base64.b64decode(secret["data"][ref["key"]]).decode()

    def head(self, cluster: str) -> Object | None:
        return next((p for p in list(self.node.pods.values()) if p["metadata"].get("labels", {}).get("ray.io/cluster") == cluster
                     and p["metadata"]["labels"].get("ray.io/node-type") == "head" and not p["metadata"].get("deletionTimestamp")), None)

    def status(self, cluster: str) -> str:
        serve, head = self.clusters.get(cluster), self.head(cluster)
        if not serve or not serve.config or head is None:
            return ""
        if self.broken(head):
            return "DEPLOY_FAILED"
        return "RUNNING" if time.monotonic() - serve.since > DEPLOYING_S else "DEPLOYING"

    def details(self, cluster: str) -> Object:
        status = self.status(cluster)
        if not status:
            return {"applications": {}}
        word = {"RUNNING": "HEALTHY", "DEPLOYING": "UPDATING", "DEPLOY_FAILED": "DEPLOY_FAILED"}[status]
        message = "the model does not load" if status == "DEPLOY_FAILED" else ""
        return {"target_capacity": self.clusters[cluster].config.get("target_capacity"), "applications": {
            a["name"]: {"name": a["name"], "route_prefix": a.get("route_prefix", "/"), "status": status, "message": message, "deployments": {
                d["name"]: {"name": d["name"], "status": word, "message": message} for d in a.get("deployments", [])}}
            for a in self.clusters[cluster].config["applications"]}}

    def put(self, cluster: str, config: Object) -> None:
        with self.lock:
            serve = self.clusters.setdefault(cluster, Serve())
            if {k: v for k, v in config.items() if k != "target_capacity"} != {k: v for k, v in serve.config.items() if k != "target_capacity"}:
                serve.since = time.monotonic()
            serve.config = config
            if "target_capacity" in config:
                serve.capacities.append(config["target_capacity"])

    def handler(self, port: int) -> type[http.server.BaseHTTPRequestHandler]:
        ray = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

            def reply(self, code: int, body: Object | str) -> None:
                raw = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def cluster(self) -> str | None:
                """The cluster of the pod that was called, or None when it has none or the caller was refused."""
                pod = ray.node.pod_at(self.connection.getsockname()[0])
                name = (pod or {"metadata": {}})["metadata"].get("labels", {}).get("ray.io/cluster")
                if pod is None or not name:
                    self.reply(404, "no Ray here")
                    return None
                if port == DASHBOARD and self.headers.get("x-ray-authorization") != f"Bearer {ray.token(pod)}":
                    ray.refused += 1
                    self.reply(401, "Unauthorized: no or wrong token")
                    return None
                return name

            def do_GET(self) -> None:
                cluster = self.cluster()
                if cluster is None:
                    return
                if port == PROXY:
                    up = ray.status(cluster) == "RUNNING" and self.path == "/-/healthz"
                    self.reply(200 if up else 503, "success" if up else "no replica")
                elif port == AGENT:
                    self.reply(200 if self.path == "/api/healthz" else 404, "success")
                elif self.path.split("?")[0] == APPLICATIONS:
                    self.reply(200, ray.details(cluster))
                else:
                    self.reply(404, "not served by this stand-in")

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                cluster = self.cluster()
                if cluster is None:
                    return
                if port != DASHBOARD or self.path != APPLICATIONS:
                    self.reply(404, "not served by this stand-in")
                    return
                ray.put(cluster, json.loads(body))
                self.reply(200, {})
        return Handler
