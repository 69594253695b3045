# SPDX-License-Identifier: Apache-2.0
"""Faults on a local Ray with two raylets, under load: `make faults-ray`.

Each scenario runs twice for the same fault: once under an open loop of `inferd bench`, which never retries and
names every failure by kind, and once under clients that send a request a second time when it failed. Each fault
is asserted to have happened: a pid is gone, a node is dead, the number of replicas or the model has changed.
The controls are `none` (no fault: nothing may fail) and `kill-all` (every replica at once: failures must show).

Two raylets on one machine cannot both listen on the service's port, so the ingress is on the head alone.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import local
from local import ROOT

BIN = ROOT / "build" / "inferd"
GOLDEN = ROOT / "engine" / "tests" / "model" / "golden" / "bert-f32"
BODY = json.dumps({"inputs": ["truly wonderful", "a dull mess"]}).encode()
HEADERS = {"Content-Type": "application/json"}
NEXT = "+next"  # what the new code says behind its version


class RetryingClients:
    """Closed-loop clients that keep connections and try a failed request once more."""

    def __init__(self, port: int, clients: int = 8, pause_s: float = 0.02):
        self.port, self.pause_s = port, pause_s
        self.sent = self.retried = 0
        self.failed: Counter[str] = Counter()
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def _once(self, c: http.client.HTTPConnection) -> str | None:
        try:
            c.request("POST", "/infer", BODY, HEADERS)
            r = c.getresponse()
            body = r.read()
            if r.status != 200:
                return f"status {r.status}"
            return None if body.count(b'"label"') == 2 else "wrong answer"
        except (OSError, http.client.HTTPException) as e:
            c.close()
            return type(e).__name__

    def _work(self) -> None:
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self._stop.is_set():
            first = self._once(c)
            second = None
            if first is not None:
                time.sleep(0.05)
                second = self._once(c)
            with self._lock:
                self.sent += 1
                self.retried += first is not None
                if second is not None:
                    self.failed[second] += 1
            time.sleep(self.pause_s)

    def __enter__(self) -> RetryingClients:
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for t in self._threads:
            t.join()


def open_loop(port: int, rate: float, seconds: float, fault: Callable[[], None]) -> dict[str, Any]:
    """`inferd bench` for a third of `seconds`, during the fault, and as long again after it."""
    load = subprocess.Popen([str(BIN), "bench", f"http://127.0.0.1:{port}/infer", "--rate", str(round(rate)),
                             "--connections", "16", "--duration", "300s", "--texts", str(ROOT / "k6" / "phrases.txt"),
                             "--inputs", "2", "--expect-labels", "2", "--timeout", "5s", "--report-interval", "500ms",
                             "--json"], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(seconds / 3)
        fault()
        time.sleep(seconds / 3)
    finally:
        load.send_signal(signal.SIGINT)
        out = load.communicate()[0]
    report = json.loads(out)
    # what the end of the load itself cut off is nobody's failure
    cut = sum(report["outcomes"].get(k, 0) for k in ("interrupted", "not_sent")) if report["end"] == "interrupted" else 0
    kinds = {k: n for k, n in report["outcomes"].items() if n and k not in ("answer", "interrupted", "not_sent")}
    status = {k: n for k, n in report["status"].items() if n and not str(k).startswith("2")}
    requests = report["requests"] - cut
    bad = [i["at_s"] for i in report["intervals"] if i["failed"] or i["refused"]]
    return {"requests": requests, "ok": report["ok"], "refused": report["refused"],
            "failed": requests - report["ok"] - report["refused"], "status": status, "outcomes": kinds, "cut": cut,
            "p99_ms": report["ok_latency_ms"].get("p99"), "max_ms": report["ok_latency_ms"].get("max"),
            "bad_seconds": round(bad[-1] - bad[0] + 0.5, 1) if bad else 0.0}


class Bench:
    def __init__(self, ray: local.LocalRay, port: int, rate: float, seconds: float):
        self.ray, self.port, self.rate, self.seconds = ray, port, rate, seconds
        self.orphans: list[int] = []
        self.next_code = next_code(ray.scratch / "next.zip")

    # What is done to it. Each returns when the fault has been made and seen.

    def config(self, replicas: int = 2, model: Path | str = local.MODEL, args: dict[str, Any] | None = None,
               per_node: int | None = 1) -> dict[str, Any]:
        deployment: dict[str, Any] = {"autoscaling_config": {
            "min_replicas": replicas, "max_replicas": replicas, "upscale_delay_s": 0.5, "downscale_delay_s": 0.5,
            "metrics_interval_s": 1, "look_back_period_s": 5}}
        if per_node:
            deployment["max_replicas_per_node"] = per_node
        c = local.config(model, port=self.port, args={"num_cpus": 1, **(args or {})}, deployment=deployment)
        c["proxy_location"] = "HeadOnly"
        return c

    def wait_replicas(self, n: int, seconds: float = 90.0) -> None:
        wait(lambda: self.ray.replicas() == n, seconds, f"{n} replicas")

    def far_node(self) -> Any:
        return self.ray.nodes[1]

    def replicas_of(self, head: bool) -> list[int]:
        """Pids of replicas that are children of the head's raylet, or of the other."""
        raylet = self.ray.nodes[0 if head else 1].all_processes["raylet"][0].process.pid
        return [p for p in self.ray.processes()["replica"] if parent(p) == raylet]

    def kill_replica(self) -> None:
        (victim,) = self.replicas_of(head=False)
        kill(victim)

    def kill_all(self) -> None:
        for victim in self.ray.processes()["replica"]:
            kill(victim)
        wait(lambda: self.info()["name"] == "inferd", 90, "a replica to answer again")

    def kill_raylet(self) -> None:
        """The raylet alone: its replica goes on without it, until Ray gives the node up."""
        import ray

        self.orphans = self.replicas_of(head=False)
        kill(self.far_node().all_processes["raylet"][0].process.pid)
        wait(lambda: sum(n["Alive"] for n in ray.nodes()) == 1, 90, "the node to be given up")

    def kill_node(self) -> None:
        """All processes of a node at once, as when its machine goes away."""
        import ray

        raylet = self.far_node().all_processes["raylet"][0].process.pid
        for pid in [raylet, *local.descendants(raylet)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait(lambda: sum(n["Alive"] for n in ray.nodes()) == 1, 90, "the node to be given up")

    def kill_haproxy(self) -> None:
        victims = self.ray.haproxies()
        assert victims, "there is no HAProxy"
        for v in victims:
            kill(v)
        wait(lambda: self.info()["name"] == "inferd", 90, "the ingress to answer again")

    def drain(self) -> None:
        import ray

        node = self.far_node()
        (victim,) = self.replicas_of(head=False)
        subprocess.run([str(Path(sys.executable).parent / "ray"), "drain-node", "--address", self.ray.cluster.address,
                        "--node-id", node.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message",
                        "maintenance", "--deadline-remaining-seconds", "60"], check=True, capture_output=True)
        wait(lambda: not alive(victim), 60, "the drained node's replica to end")
        assert [n for n in ray.nodes() if n["Alive"]]

    def scale(self) -> None:
        for n in (4, 1):
            self.ray.deploy(self.config(n, per_node=None))
            self.wait_replicas(n)

    def upgrade_model(self) -> None:
        before = self.info()["model"]["digest"]
        self.ray.deploy(self.config(model=GOLDEN))
        wait(lambda: self.info()["model"]["digest"] != before, 60, "the new model")
        time.sleep(1)

    def upgrade_arguments(self) -> None:
        before = set(self.ray.processes()["replica"])
        self.ray.deploy(self.config(args={"max_batch_size": 63, "num_cpus": 1}, per_node=None))
        wait(lambda: not before & set(self.ray.processes()["replica"]), 120, "the old replicas to end")

    def upgrade_code(self) -> None:
        """The same configuration, another version of the package: as a RayService whose working_dir has changed."""
        before, old = set(self.ray.processes()["replica"]), self.info()["version"]
        c = self.config(per_node=None)
        c["applications"][0]["runtime_env"] = {"working_dir": self.next_code}
        self.ray.deploy(c)
        wait(lambda: not before & set(self.ray.processes()["replica"]), 120, "the old replicas to end")
        new = {self.info()["version"] for _ in range(20)}
        assert new == {old + NEXT}, f"the new code does not answer: {new}"

    def info(self) -> dict[str, Any]:
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request("GET", "/info")
        found: dict[str, Any] = json.loads(c.getresponse().read())
        c.close()
        return found

    def mend(self) -> None:
        """Two nodes, two replicas, the first model."""
        import ray

        for pid in self.orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.orphans = []
        if sum(n["Alive"] for n in ray.nodes()) < 2 or not alive(self.far_node().all_processes["raylet"][0].process.pid):
            with contextlib.suppress(Exception):
                self.ray.cluster.remove_node(self.far_node(), allow_graceful=False)
            self.ray.nodes[1] = self.ray.add_node()
        self.ray.deploy(self.config())
        self.wait_replicas(2)
        wait(lambda: len(self.replicas_of(True)) == 1 == len(self.replicas_of(False)), 60, "a replica on each node")
        time.sleep(2)


SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "none": lambda b: None,
    "upgrade-model": Bench.upgrade_model,
    "upgrade-arguments": Bench.upgrade_arguments,
    "upgrade-code": Bench.upgrade_code,
    "scale-1-4-1": Bench.scale,
    "drain-node": Bench.drain,
    "kill-replica": Bench.kill_replica,
    "kill-raylet": Bench.kill_raylet,
    "kill-node": Bench.kill_node,
    "kill-haproxy": Bench.kill_haproxy,
    "kill-all": Bench.kill_all,
}


def next_code(path: Path) -> str:
    """The URI of a zip with the installed package, its version changed: code that a runtime_env brings along."""
    import inferd

    package, line, changed = Path(inferd.__file__).parent, '"version": _engine.version, "model"', 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for file in sorted(p for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc"):
            data = file.read_bytes()
            if file.name == "serve.py":
                changed = data.count(line.encode())
                data = data.replace(line.encode(), line.replace(", ", f' + "{NEXT}", ').encode())
            z.writestr(f"next/inferd/{file.relative_to(package)}", data)
    assert changed == 1, "serve.py says its version elsewhere now"
    return f"file://{path}"


def parent(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return int(stat[stat.rindex(")") + 2:].split()[1])
    return 0


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat[stat.rindex(")") + 2] not in "ZX"
    return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not alive(pid), 10, f"the end of {pid}")


def wait(check: Callable[[], Any], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            if check():
                return
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)


def run(bench: Bench, name: str) -> dict[str, Any]:
    fault = SCENARIOS[name]
    bench.mend()
    first = open_loop(bench.port, bench.rate, bench.seconds, lambda: fault(bench))
    bench.mend()
    with RetryingClients(bench.port) as clients:
        time.sleep(bench.seconds / 3)
        fault(bench)
        time.sleep(bench.seconds / 3)
    return {"open_loop": first, "one_retry": {"requests": clients.sent, "retried": clients.retried,
                                              "failed": sum(clients.failed.values()), "by_kind": dict(clients.failed)}}


def table(results: dict[str, Any]) -> str:
    lines = ["| fault | requests | refused (429, 503) | failed, by kind | seconds with failures | p99 ms | with one retry: "
             "requests, retried, failed |", "|---|---|---|---|---|---|---|"]
    for name, r in results.items():
        if "error" in r:
            lines.append(f"| {name} | | | did not finish: {r['error']} | | | |")
            continue
        o, c = r["open_loop"], r["one_retry"]
        kinds = ", ".join(f"{k} {n}" for k, n in {**o["outcomes"], **{f"status {k}": n for k, n in o["status"].items()
                                                                      if k not in ("429", "503")}}.items())
        lines.append(f"| {name} | {o['requests']} | {o['refused']} | {o['failed']}{f' ({kinds})' if o['failed'] else ''} | "
                     f"{o['bad_seconds']} | {o['p99_ms']:.1f} | {c['requests']}, {c['retried']}, {c['failed']} |")
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    p.add_argument("--rate", type=float, default=200.0, help="requests per second of the open loop")
    p.add_argument("--seconds", type=float, default=20.0, help="of load around each fault")
    p.add_argument("--port", type=int, default=18440)
    p.add_argument("--out", type=Path, default=ROOT / "build" / "results" / "ray")
    o = p.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    with local.LocalRay(haproxy=True, raylets=2, cpus=4) as ray:
        bench = Bench(ray, o.port, o.rate, o.seconds)
        for name in o.scenarios:
            began = time.monotonic()
            try:
                results[name] = run(bench, name)
            except (AssertionError, RuntimeError, TimeoutError, subprocess.SubprocessError, ValueError) as e:
                results[name] = {"error": f"{type(e).__name__}: {e}"[:300]}
            print(f"faults-ray: {name}: {time.monotonic() - began:.0f} s: {json.dumps(results[name])}", flush=True)
            (o.out / "faults.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = table(results)
    (o.out / "faults.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    faults = []
    if "none" in results and (results["none"].get("error") or results["none"]["open_loop"]["failed"]):
        faults.append("the control without a fault failed")
    if "kill-all" in results and not results["kill-all"].get("error") and \
            results["kill-all"]["open_loop"]["ok"] == results["kill-all"]["open_loop"]["requests"]:
        faults.append("killing every replica was not noticed: what counts failures is broken")
    if faults or any("error" in r for r in results.values()):
        raise SystemExit(f"faults-ray: {'; '.join(faults) or 'a scenario did not finish'}")


if __name__ == "__main__":
    main()
