# SPDX-License-Identifier: Apache-2.0
"""A local Ray with the application on it, from inferd/serve_config.yaml with a few values changed.

Everything runs below this process and ends with it. `LocalRay(raylets=2)` has two raylets, each of which
can be killed or drained. The ingress is Ray's HAProxy, or its default proxy.

    python local.py --model models/sst2-minilm-l6 --port 8000
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import os
import shutil
import signal
import socket
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "python" / "inferd" / "serve_config.yaml"
MODEL = ROOT / "models" / "sst2-minilm-l6"


def config(model: str | Path = MODEL, *, dtype: str = "auto", port: int = 8000, host: str = "127.0.0.1",
           args: dict[str, Any] | None = None, deployment: dict[str, Any] | None = None) -> dict[str, Any]:
    """The file's content with what differs here."""
    c: dict[str, Any] = copy.deepcopy(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))
    c["http_options"].update(host=host, port=port)
    (application,) = c["applications"]
    application["args"].update(args or {})
    (classifier,) = application["deployments"]
    classifier["user_config"] = {"model": str(Path(model).resolve()), "dtype": dtype}
    classifier.update(deployment or {})
    return c


class LocalRay:
    """Ray processes of our own, on free ports. A context manager."""

    def __init__(self, *, haproxy: bool = True, raylets: int = 1, cpus: int = 2, head_cpus: int | None = None,
                 env: dict[str, str] | None = None):
        self.haproxy, self.raylets, self.cpus = haproxy, raylets, cpus
        self.head_cpus = cpus if head_cpus is None else head_cpus
        self.scratch = Path(tempfile.mkdtemp(prefix="inferd-ray-"))
        self.env = {
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_ENABLE_HA_PROXY": "1" if haproxy else "0",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(self.scratch / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(self.scratch / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(self.scratch),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(self.scratch / "server-state"),
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
            "RAY_worker_niceness": "0",  # Ray's default of 15 makes the replicas the machine's last
            "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
            "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
            # how long a replica that stops stays for HAProxy to let go of it: one machine needs no 30 s
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_IMPORT_WARNING": "1",
            "RAY_DEDUP_LOGS": "0",
            **(env or {}),
        }
        self.cluster: Any = None
        self.nodes: list[Any] = []

    def __enter__(self) -> LocalRay:
        os.environ.update(self.env)  # before Ray is imported: it reads them then
        import ray
        from ray.cluster_utils import Cluster

        self.cluster = Cluster()
        for _ in range(self.raylets):
            self.nodes.append(self.add_node())
        ray.init(self.cluster.address, log_to_driver=False, configure_logging=False)
        return self

    def __exit__(self, *exc: object) -> None:
        """Ends the processes. Not serve.shutdown(), which waits minutes for an application that cannot start."""
        import ray

        ours = {pid for kind in self.processes().values() for pid in kind}
        with contextlib.suppress(Exception):
            self.cluster.shutdown()
        with contextlib.suppress(Exception):
            ray.shutdown()
        time.sleep(0.5)
        # a HAProxy whose manager was killed goes on by itself
        for pid in {*self.haproxies(), *(ours & set(descendants(os.getpid())))}:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def add_node(self) -> Any:
        cpus = self.cpus if self.nodes else self.head_cpus
        return self.cluster.add_node(num_cpus=cpus, num_gpus=0, object_store_memory=100 << 20, include_dashboard=False)

    def deploy(self, c: dict[str, Any], wait_s: float = 120.0) -> None:
        """Apply a config, as the head's REST API does for a RayService, and wait until it runs."""
        from ray import serve
        from ray.serve.config import HTTPOptions
        from ray.serve.context import _get_global_client
        from ray.serve.schema import ServeDeploySchema

        self.port = c["http_options"]["port"]
        serve.start(proxy_location=c["proxy_location"],
                    http_options=HTTPOptions(**c["http_options"]))
        _get_global_client().deploy_apps(ServeDeploySchema(**c), _blocking=False)
        self.wait_running(wait_s)

    def status(self) -> dict[str, Any]:
        from ray import serve

        return {name: a for name, a in serve.status().applications.items()}

    def wait_running(self, wait_s: float = 120.0) -> None:
        end = time.monotonic() + wait_s
        time.sleep(0.2)
        while time.monotonic() < end:
            apps = self.status()
            states = {str(a.status.value if hasattr(a.status, "value") else a.status) for a in apps.values()}
            if apps and states == {"RUNNING"} and self._answers():
                return
            if "DEPLOY_FAILED" in states:
                raise RuntimeError(f"the application failed: {[a.message for a in apps.values()]}")
            time.sleep(0.1)
        raise TimeoutError(f"not running after {wait_s} s: {self.status()}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as r:
                return bool(r.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def replicas(self) -> int:
        apps = self.status()
        return sum(d.replica_states.get("RUNNING", 0) for a in apps.values() for d in a.deployments.values())

    def haproxies(self) -> list[int]:
        """Pids of HAProxy processes with our configuration, orphans too."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes()
                    if b"haproxy" in line.split(b"\0")[0] and str(self.scratch).encode() in line:
                        found.append(int(entry.name))
        return found

    def processes(self) -> dict[str, list[int]]:
        """Pids of our own descendants by what they are."""
        found: dict[str, list[int]] = {"replica": [], "haproxy": [], "proxy": [], "controller": [], "raylet": [],
                                       "gcs": [], "other": []}
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[kind_of(line)].append(pid)
        return found


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def kind_of(command: str) -> str:
    first = command.split(" ")[0].split("/")[-1]
    if command.startswith("ray::ServeReplica"):
        return "replica"
    if first == "haproxy":
        return "haproxy"
    if command.startswith(("ray::ProxyActor", "ray::HAProxyManager")):
        return "proxy"
    if command.startswith("ray::ServeController"):
        return "controller"
    if first == "raylet":
        return "raylet"
    return "gcs" if first == "gcs_server" else "other"


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (entry / "stat").read_text()
                children.setdefault(int(stat[stat.rindex(")") + 2:].split()[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default=str(MODEL))
    p.add_argument("--dtype", default="auto")
    p.add_argument("--port", type=int, default=8000)
    p.add_argument("--replicas", type=int, default=1, help="fixed number; without it the file's range")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--proxy", choices=("haproxy", "default"), default="haproxy")
    p.add_argument("--batching", choices=("engine", "serve"), default="engine")
    o = p.parse_args()
    began = time.monotonic()
    with LocalRay(haproxy=o.proxy == "haproxy") as local:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # after ray.init, which sets its own
        local.deploy(config(o.model, dtype=o.dtype, port=o.port, args={
            "min_replicas": o.replicas, "max_replicas": o.replicas, "threads": o.threads,
            "batching": o.batching}))
        print(f"serve-ray: ready in {time.monotonic() - began:.1f} s: http://127.0.0.1:{o.port} "
              f"({o.proxy} ingress, {local.replicas()} replica)", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("serve-ray: stopping", flush=True)


if __name__ == "__main__":
    main()
