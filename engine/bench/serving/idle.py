#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What thousands of idle and slow connections cost: memory each, goodput, and the worst time of a probe.

Phases, each with the same closed-loop load and with /healthz and /metrics asked ten times a second:

  alone       nothing else
  idle        10,000 keep-alive connections that have had one answer
  idle+slow   those, 2,000 heads and 2,000 bodies that arrive a byte every --slow-interval seconds (10, as
             slowhttptest does), and are opened again when the server ends them
  alone again after all have gone: the control for a machine that changed meanwhile

The crowd lives on the same cores: what its processor time takes from the server is shown beside.
Memory of an idle connection is the growth of the server's resident memory over their number, without
load. A probe that the server does not have (404) is shown as absent.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import serving
from crowd import CrowdProcess

PROBES = ("/healthz", "/metrics")


def probe_of(f: dict) -> dict:
    absent = set(f["status"]) == {"404"}
    return {"absent": absent, "status": f["status"], "failures": serving.failures(f),
            "worst_ms": None if absent else serving.time_of(f, "ok_latency_ms", "max"),
            "p50_ms": None if absent else serving.time_of(f, "ok_latency_ms", "p50")}


def phase(args, server: serving.Inferd, crowd: CrowdProcess, name: str) -> dict:
    serving.step(name)
    crowd_cpu = serving.cpu_s(crowd.process.pid)
    probes = [serving.start_bench(args.binary, server.url + path, method="GET", rate=10, connections=4,
                                  duration=f"{args.seconds}s", report_interval=0) for path in PROBES]
    try:
        f = serving.bench(args.binary, server.url, connections=args.connections, duration=f"{args.seconds}s",
                          timeout="60s", report_interval=0)
        asked = {path: probe_of(serving.end_bench(p)) for path, p in zip(PROBES, probes)}
    finally:
        for p in probes:
            if p.poll() is None:
                p.kill()
                p.wait()
    server.check()
    return {"ok_per_s": f["ok_per_s"], "p99_ms": serving.time_of(f, "ok_latency_ms", "p99"), "refused": f["refused"],
            "other": serving.bad(f), "failures": serving.failures(f), "probes": asked,
            "crowd_cpu": (serving.cpu_s(crowd.process.pid) - crowd_cpu) / f["elapsed_s"],
            "rss_bytes": serving.rss_bytes(server.pid), "fds": serving.fd_count(server.pid)}


def settled_rss(server: serving.Inferd) -> int:
    """The least of some looks without load: what is freed late is no connection's memory."""
    looks = []
    for _ in range(5):
        looks.append(serving.rss_bytes(server.pid))
        time.sleep(0.2)
    return min(looks)


def measure(args, server: serving.Inferd) -> dict:
    phases = {}
    with CrowdProcess(int(server.url.rsplit(":", 1)[1]), args.slow_interval) as crowd:
        phases["alone"] = phase(args, server, crowd, "alone")
        before = settled_rss(server)
        crowd.be(idle=args.idle)
        held = settled_rss(server)
        connected = crowd.have()["idle"]
        phases["idle"] = phase(args, server, crowd, "idle")
        crowd.be(head=args.slow_heads, body=args.slow_bodies)
        phases["idle+slow"] = phase(args, server, crowd, "idle+slow")
        have, counts = crowd.have(), crowd.counts()
        crowd.be(idle=0, head=0, body=0)
        time.sleep(1.0)
        phases["alone again"] = phase(args, server, crowd, "alone again")
        after = settled_rss(server)
    alone = max(phases["alone"]["ok_per_s"], phases["alone again"]["ok_per_s"])
    return {"phases": phases, "crowd": {"connected": have, **counts},
            "rss_bytes": {"before": before, "with_idle": held, "after": after},
            "rss_per_idle_connection": (held - before) / max(1, connected),
            "goodput_ratio": {"idle": phases["idle"]["ok_per_s"] / alone,
                              "idle+slow": phases["idle+slow"]["ok_per_s"] / alone,
                              "control": min(phases["alone"]["ok_per_s"], phases["alone again"]["ok_per_s"]) / alone}}


def run() -> None:
    p = serving.parser(__doc__.split("\n\n")[0])
    p.add_argument("--idle", type=int, default=10000)
    p.add_argument("--slow-heads", type=int, default=2000)
    p.add_argument("--slow-bodies", type=int, default=2000)
    p.add_argument("--slow-interval", type=float, default=10.0, help="seconds between two bytes of a slow one")
    p.add_argument("--connections", type=int, default=32, help="of the load")
    p.add_argument("--seconds", type=float, default=20.0, help="of one phase")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as where:
        # idle connections shall stay for all phases; an option of the caller comes later and wins
        with serving.Inferd(args.binary, serving.model_of(args, Path(where)), "--keepalive-timeout", "3600",
                            *args.server) as server:
            r = measure(args, server)
    head = ["", "ok/s", "p99 ms", "not ok"] + [f"{path} worst ms" for path in PROBES] + ["RSS MiB", "open files", "crowd's cores"]
    serving.table(head, [[n, f["ok_per_s"], f["p99_ms"], f["refused"] + f["other"]] +
                         ["absent" if f["probes"][path]["absent"] else f["probes"][path]["worst_ms"] for path in PROBES] +
                         [f["rss_bytes"] / 2 ** 20, f["fds"], f["crowd_cpu"]] for n, f in r["phases"].items()])
    print(f"memory of an idle connection: {r['rss_per_idle_connection']:.0f} bytes; crowd {r['crowd']}")
    print("goodput beside alone: " + ", ".join(f"{k} {v:.2f}" for k, v in r["goodput_ratio"].items()))
    serving.finish(args, "idle", r)


if __name__ == "__main__":
    serving.main(run)
