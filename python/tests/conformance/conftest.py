# SPDX-License-Identifier: Apache-2.0
"""The server under test, by INFERD_CONFORMANCE: `c` (inferd serve, the default), `ray-haproxy` or `ray-default`
(the Ray Serve application behind Ray's HAProxy, or behind its default proxy)."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import BIN, MODEL, ROOT

KIND = os.environ.get("INFERD_CONFORMANCE", "c")
LIMITS = {"max_inputs": 16, "max_body_bytes": 20000, "max_queue": 64, "max_queue_tokens": 8192}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, port: int):
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None,
            **options: Any) -> Answer:
        c = self.connect()
        try:
            c.request(method, path, body, headers or {}, **options)
            r = c.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            c.close()

    def infer(self, body: Any, headers: dict[str, str] | None = None) -> Answer:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.ask("POST", "/infer", data, {"Content-Type": "application/json", **(headers or {})})


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    if KIND == "c":
        options = [f"--{name.replace('_', '-')}={value}" for name, value in LIMITS.items()]
        p = subprocess.Popen([BIN, "serve", "--model", MODEL, "--port", "0", "--threads", "1", *options],
                             stderr=subprocess.PIPE, text=True)
        assert p.stderr is not None
        found = 0
        for line in p.stderr:
            event = json.loads(line)
            found = int(event["url"].rsplit(":", 1)[1]) if "url" in event else found
            if event["event"] == "ready":
                break
        yield found
        p.terminate()
        assert p.wait(60) == 0
    else:
        sys.path.insert(0, str(ROOT / "python" / "rayops"))
        import local

        with local.LocalRay(haproxy=KIND == "ray-haproxy") as ray:
            ray.deploy(local.config(MODEL, port=18421, args={"max_replicas": 1, **LIMITS}))
            yield ray.port


@pytest.fixture(scope="session")
def client(port: int) -> Client:
    return Client(port)
