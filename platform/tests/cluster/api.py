# SPDX-License-Identifier: Apache-2.0
"""A client of the Kubernetes API, as much of it as these tests use: JSON over TLS, no cache but that of the API's resources.

Safe for use by several threads: each has a connection of its own.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Object = dict[str, Any]
PATIENCE = 5  # what is waited for comes in a fraction of its time on a quiet machine; on a busy one all may stand still for minutes


class ApiError(Exception):
    """What the API server refused: `code` is HTTP's, the text is the server's own."""

    def __init__(self, code: int, message: str):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Api:
    def __init__(self, host: str, port: int, ca: Path, token: str):
        self.host, self.port, self.token = host, port, token
        self.tls = ssl.create_default_context(cafile=str(ca))
        self.own = threading.local()
        self.resources: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(self, method: str, path: str, body: Object | None = None, query: dict[str, str] | None = None,
                content: str = "application/json") -> Object:
        for again in range(PATIENCE):
            try:
                return self.once(method, path, body, query, content)
            except ApiError as e:
                if e.code not in (429, 504) or again == PATIENCE - 1:  # too busy, or not done within its own time limit
                    raise
                time.sleep(again)
        raise AssertionError("not reached")

    def once(self, method: str, path: str, body: Object | None, query: dict[str, str] | None, content: str) -> Object:
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "Content-Type": content}
        for last in (False, True):  # a connection that was kept may have been closed by the server meanwhile
            connection = getattr(self.own, "connection", None)
            if connection is None:
                connection = self.own.connection = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=60 * PATIENCE)
            try:
                connection.request(method, target, data, headers)
                response = connection.getresponse()
                raw = response.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                self.own.connection = None
                if last:
                    raise
        answer = json.loads(raw) if raw.startswith(b"{") else {"message": raw.decode(errors="replace")}
        if response.status >= 300:
            raise ApiError(response.status, answer.get("message", ""))
        return answer

    def resource(self, api_version: str, kind: str) -> tuple[str, bool]:
        """Plural name, and whether it is of a namespace. Raises ApiError 404 for a kind that is not served."""
        if (api_version, kind) not in self.resources:
            base = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
            for r in self.request("GET", base)["resources"]:
                if "/" not in r["name"]:
                    self.resources[api_version, r["kind"]] = r["name"], r["namespaced"]
        if (api_version, kind) not in self.resources:
            raise ApiError(404, f"{api_version} has no kind {kind}")
        return self.resources[api_version, kind]

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str = "", sub: str = "") -> str:
        plural, namespaced = self.resource(api_version, kind)
        base = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return base + scope + f"/{plural}" + (f"/{name}" if name else "") + (f"/{sub}" if sub else "")

    def path_of(self, o: Object, sub: str = "") -> str:
        meta = o["metadata"]
        return self.path(o["apiVersion"], o["kind"], meta.get("namespace", "default"), meta["name"], sub)

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object:
        return self.request("GET", self.path(api_version, kind, namespace, name))

    def find(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        """The object, or None while it, or its kind, does not exist."""
        try:
            return self.get(api_version, kind, namespace, name)
        except ApiError as e:
            if e.code == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str | None = None, labels: str = "") -> list[Object]:
        answer = self.request("GET", self.path(api_version, kind, namespace), query={"labelSelector": labels} if labels else None)
        return [{"apiVersion": api_version, "kind": kind, **o} for o in answer["items"]]

    def apply(self, o: Object, dry_run: bool = False, manager: str = "tests") -> Object:
        """Server-side apply with strict field validation, as kubectl and Flux do."""
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self.request("PATCH", self.path_of(o), o, query, "application/apply-patch+yaml")

    def create(self, o: Object, dry_run: bool = False) -> Object:
        path = self.path(o["apiVersion"], o["kind"], o["metadata"].get("namespace", "default"))
        return self.request("POST", path, o, {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {}))

    def patch(self, o: Object, change: Object, sub: str = "") -> Object:
        return self.request("PATCH", self.path_of(o, sub), change, content="application/merge-patch+json")

    def delete(self, o: Object, grace: int | None = None) -> None:
        body = None if grace is None else {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": grace}
        try:
            self.request("DELETE", self.path_of(o), body)
        except ApiError as e:
            if e.code != 404:
                raise

    def watch(self, api_version: str, kind: str, seconds: int = 30) -> Iterator[tuple[str, Object]]:
        """ADDED for what there is, then changes as they come, for `seconds`."""
        first = self.request("GET", self.path(api_version, kind))
        for o in first["items"]:
            yield "ADDED", o
        since = first["metadata"]["resourceVersion"]
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=seconds + 15 * PATIENCE)
        try:
            connection.request("GET", f"{self.path(api_version, kind)}?watch=1&timeoutSeconds={seconds}&resourceVersion={since}",
                               headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise ApiError(response.status, response.read().decode(errors="replace"))
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"].get("message", ""))
                yield event["type"], event["object"]
        finally:
            connection.close()


def condition(o: Object | None, kind: str) -> Object:
    """One of an object's conditions; {} where it has none of that type."""
    return next((c for c in ((o or {}).get("status") or {}).get("conditions") or [] if c["type"] == kind), {})


def wait(check: Callable[[], Any], seconds: float, what: str, show: Callable[[], Any] | None = None) -> Any:
    """What `check` returns once it is true. After `seconds` (and PATIENCE times that on a busy machine) an AssertionError says what
    did not come, and what `show` returns. Of the time between two looks no more than PATIENCE seconds count: in more than that the
    machine stood still, and what is waited for with it."""
    began = last = time.monotonic()
    spent = 0.0
    while True:
        found = check()
        if found:
            return found
        now = time.monotonic()
        spent, last = spent + min(now - last, PATIENCE), now
        if spent > seconds * PATIENCE:
            seen = show() if show else found
            raise AssertionError(f"after {now - began:.0f} s still not: {what}; last seen: {seen!r}")
        time.sleep(0.2)
