# SPDX-License-Identifier: Apache-2.0
"""The workers' preStop hook (platform/apps/ray/base/drain.py) against a real Ray with token authentication: Serve moves the
replica before the pod would end, and a client notices nothing. Runs where Ray is installed: make test-ray.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

DRAIN = Path(__file__).resolve().parents[1] / "apps/ray/base/drain.py"
ENV = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a-token-of-this-test-alone", "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
       "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": "2", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


def descendants(pid: int) -> list[int]:
    """By the kernel's list of children of each thread."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


class Client(threading.Thread):
    """One request after the other; what came is counted."""

    def __init__(self, url: str):
        super().__init__(daemon=True)
        self.url, self.answers, self.failures, self.stop = url, 0, [], threading.Event()

    def run(self):
        while not self.stop.wait(0.02):
            try:
                with urllib.request.urlopen(self.url, timeout=10) as r:
                    self.answers += r.status == 200
            except OSError as e:
                self.failures.append(repr(e))


class Drain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ.update(ENV)  # before Ray is imported: it reads them then
        import ray
        from ray.cluster_utils import Cluster

        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.shutdown)
        small = {"object_store_memory": 100 << 20, "include_dashboard": False}
        cls.cluster.add_node(num_cpus=0, **small)
        ray.init(cls.cluster.address, log_to_driver=False, configure_logging=False)
        cls.addClassCleanup(ray.shutdown)
        cls.workers = {f"127.0.0.{i}": cls.cluster.add_node(num_cpus=1, node_ip_address=f"127.0.0.{i}", **small) for i in (2, 3)}

    def hook(self, ip: str, *, within: str = "60", **env: str) -> subprocess.CompletedProcess:
        """The hook in a pod whose processes are those of that node."""
        with tempfile.TemporaryDirectory() as proc:
            for pid in descendants(self.workers[ip].all_processes["raylet"][0].process.pid):
                (Path(proc) / str(pid)).symlink_to(f"/proc/{pid}")
            began = time.monotonic()
            done = subprocess.run([sys.executable, str(DRAIN), "--within", within, "--proc", proc], capture_output=True, text=True, check=False,
                                  env={**os.environ, "RAY_ADDRESS": self.cluster.address, "POD_IP": ip, **env})
            self.seconds = time.monotonic() - began
            return done

    def test_replicas_move_and_no_request_fails(self):
        import ray
        from ray import serve

        @serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 1}, graceful_shutdown_timeout_s=40)
        class Where:
            async def __call__(self, request):
                await asyncio.sleep(float(request.query_params.get("hold", 0)))
                return {"ip": ray.util.get_node_ip_address()}

        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        serve.run(Where.bind(), name="where", route_prefix="/")
        url = f"http://127.0.0.1:{port}/"

        def where(query: str = "") -> str:
            with urllib.request.urlopen(url + query, timeout=60) as r:
                return json.load(r)["ip"]

        first = where()
        self.assertIn(first, self.workers)
        (other,) = set(self.workers) - {first}
        idle = self.hook(other)
        self.assertEqual((idle.returncode, idle.stderr), (0, ""), "a node without replicas is not drained")
        wrong = self.hook(first, POD_IP="127.0.0.9")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("no live Ray node has the address 127.0.0.9", wrong.stderr)

        client = Client(url)
        client.start()
        done = self.hook(first)
        self.assertEqual(done.returncode, 0, done.stderr)
        time.sleep(1)
        client.stop.set()
        client.join(30)
        self.assertEqual(where(), other)
        self.assertEqual(client.failures, [])
        self.assertGreater(client.answers, 50)
        print(f"drain: {client.answers} requests, 0 failed, the replica moved in {self.seconds:.1f} s")

        # a request outlasts the hook, which ends in its time and says so; the request is answered all the same
        held: list[str] = []
        holding = threading.Thread(target=lambda: held.append(where("?hold=25")))
        holding.start()
        time.sleep(1)
        stuck = self.hook(other, within="12")
        self.assertEqual(stuck.returncode, 1)
        self.assertIn("still here", stuck.stderr)
        self.assertLess(self.seconds, 24)
        holding.join(60)
        self.assertEqual(held, [other])


if __name__ == "__main__":
    unittest.main()
