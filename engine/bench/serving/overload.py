#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What remains of a server's goodput when five times its capacity comes in, and how soon it is itself
again afterwards.

  capacity  closed loop, 64 connections: the peak goodput
  steady    open loop (Poisson) at 80 % of that: the p99 of normal days
  overload  open loop at 5 x capacity for --seconds
  recovery  80 % again, begun when overload ends, on top of its backlog: how long until p99 and errors are back

Goodput counts 2xx answers only; with --deadline-ms the client gives up on a request after that
time and says so in X-Request-Timeout-Ms, so what comes later counts for nothing. Latencies are from
when requests were due. --peer uvicorn does the same to a small transformers server
(peer_uvicorn.py; its Python comes from scripts/venv.sh).
"""

from __future__ import annotations

import os
import tempfile
import time
import urllib.request
from pathlib import Path

import serving
import stats

HERE = Path(__file__).resolve().parent


class Uvicorn(serving.Process):
    name = "uvicorn"

    def __init__(self, python: Path, model: Path):
        if not os.access(python, os.X_OK):
            raise serving.Failed(f"{python} is missing: scripts/venv.sh peer engine/bench/serving/requirements-peer.txt")
        self.address = f"http://127.0.0.1:{serving.free_port()}"
        super().__init__([str(python), str(HERE / "peer_uvicorn.py"), "--model", str(model),
                          "--port", self.address.rsplit(":", 1)[1]])

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.address + "/livez", timeout=1):
                self.url = self.address
                return True
        except OSError:
            return False


def start(args, server: serving.Process, rate: float, seconds: float, **more):
    options = {"rate": max(1, round(rate)), "arrivals": "poisson", "connections": args.connections, "duration": f"{seconds}s",
               "report_interval": f"{args.interval_ms}ms", "timeout": f"{args.timeout_ms}ms", **more}
    if args.deadline_ms:
        options["header"] = [f"X-Request-Timeout-Ms: {args.deadline_ms}"]
        options["timeout"] = f"{args.deadline_ms}ms"
    return serving.start_bench(args.binary, server.url, **options)


def overload_and_after(args, server: serving.Process, peak: float) -> tuple[dict, dict]:
    """Two clients: the first, when its time is over, still waits for what is in flight, and just then,
    while the server works off what it has taken in, recovery must be watched."""
    clients = [start(args, server, args.factor * peak, args.seconds)]
    try:
        time.sleep(args.seconds)
        serving.step("recovery")
        clients.append(start(args, server, 0.8 * peak, args.recovery_seconds))
        figures = [serving.end_bench(c) for c in clients]
        server.check()
    finally:
        for c in clients:
            if c.poll() is None:
                c.kill()
                c.wait()
    return figures[0], figures[1]


def short(f: dict) -> dict:
    t = serving.time_of
    return {"offered_per_s": f["requests"] / f["window_s"], "ok_per_s": f["ok_per_s"], "requests": f["requests"],
            "ok": f["ok"], "refused": f["refused"], "other": serving.bad(f), "status": f["status"],
            "failures": serving.failures(f), "ok_p50_ms": t(f, "ok_latency_ms", "p50"),
            "ok_p99_ms": t(f, "ok_latency_ms", "p99"), "refused_p50_ms": t(f, "refused_latency_ms", "p50"),
            "refused_p99_ms": t(f, "refused_latency_ms", "p99"), "client_late_p99_ms": t(f, "client_late_ms", "p99"),
            "client_cpu": f["client"]["cpu_share"]}


def measure(args, server: serving.Process) -> dict:
    serving.step("capacity")
    warmup = f"{min(2000, round(200 * args.steady_seconds))}ms"
    f = serving.bench(args.binary, server.url, connections=64, warmup=warmup, duration=f"{args.steady_seconds}s", timeout="60s")
    peak = f["ok_per_s"]
    if not peak:
        raise serving.Failed(f"{server.name}: no answer within {args.steady_seconds:g} s of 64 connections: {f['status']} "
                             f"{serving.failures(f)}")
    serving.step(f"steady: 80 % of {peak:.0f}/s")
    steady = serving.end_bench(start(args, server, 0.8 * peak, args.steady_seconds, warmup=warmup))
    serving.step(f"overload: {args.factor:g} x {peak:.0f}/s for {args.seconds:g} s")
    over, after = overload_and_after(args, server, peak)
    p99_limit, bad_limit = stats.limits_of(steady["intervals"], args.slack)
    hold = max(1, round(2000 / args.interval_ms))
    back = stats.recovery_s(after["intervals"], p99_limit, bad_limit, hold)
    phases = {"steady": short(steady), "overload": short(over), "recovery": short(after)}
    s, o = phases["steady"], phases["overload"]
    return {"peak_ok_per_s": peak, "phases": phases, "recovery_s": back,
            "recovery_limits": {"p99_ms": p99_limit, "share_not_ok": bad_limit, "hold_intervals": hold},
            "goodput_to_peak": o["ok_per_s"] / peak,
            "accepted_p99_ratio": o["ok_p99_ms"] / s["ok_p99_ms"] if o["ok_p99_ms"] and s["ok_p99_ms"] else None,
            "refused_p99_ms": o["refused_p99_ms"],
            "intervals": {"steady": steady["intervals"], "overload": over["intervals"], "recovery": after["intervals"]}}


def show(name: str, r: dict) -> None:
    print(f"{name}: peak {r['peak_ok_per_s']:.1f}/s (closed loop, 64 connections)")
    serving.table(["", "offered/s", "ok/s", "refused", "other", "ok p50 ms", "ok p99 ms", "refusal p99 ms", "client late p99"],
                  [[n, p["offered_per_s"], p["ok_per_s"], p["refused"], p["other"], p["ok_p50_ms"], p["ok_p99_ms"],
                    p["refused_p99_ms"], p["client_late_p99_ms"]] for n, p in r["phases"].items()])
    for n, p in r["phases"].items():
        if p["failures"] or set(p["status"]) - {"200"}:
            print(f"    {n}: {p['status']} {p['failures']}")
    steady = r["phases"]["steady"]
    if steady["ok"] < 0.99 * steady["requests"]:
        print("  not to be quoted: at 80 % of what it just did it already failed; the machine has other work, or its "
              "speed changed")
    back = f"{r['recovery_s']:.1f} s" if r["recovery_s"] is not None else "not within the run"
    print(f"  goodput under overload {100 * r['goodput_to_peak']:.0f} % of peak, p99 of accepted "
          f"{serving.number(r['accepted_p99_ratio'])} x steady, back to normal after: {back}")


def run() -> None:
    p = serving.parser(__doc__.split("\n\n")[0])
    p.add_argument("--seconds", type=float, default=60.0, help="of overload")
    p.add_argument("--steady-seconds", type=float, default=15.0, help="of capacity and of the steady phase")
    p.add_argument("--recovery-seconds", type=float, default=30.0)
    p.add_argument("--factor", type=float, default=5.0, help="overload is so many times capacity")
    p.add_argument("--connections", type=int, default=4096,
                   help="at most in flight in open loops; more than the server's queue, or the client is what queues")
    p.add_argument("--timeout-ms", type=int, default=20000, help="of the client, when it has no deadline")
    p.add_argument("--deadline-ms", type=int, default=0, help="deadline of each request and its header; 0: none")
    p.add_argument("--interval-ms", type=int, default=500, help="resolution of the recovery time")
    p.add_argument("--slack", type=float, default=1.25, help="recovered: p99 within so many times the worst steady interval")
    p.add_argument("--peer", choices=("uvicorn",), help="measure that server after inferd")
    p.add_argument("--peer-python", type=Path, default=serving.ROOT / ".venv" / "peer" / "bin" / "python")
    args = p.parse_args()
    figures: dict = {"factor": args.factor, "seconds": args.seconds, "deadline_ms": args.deadline_ms,
                     "connections": args.connections}
    with tempfile.TemporaryDirectory() as where:
        model = serving.model_of(args, Path(where))
        with serving.Inferd(args.binary, model, *args.server) as server:
            figures["inferd"] = measure(args, server)
        show("inferd", figures["inferd"])
        if args.peer:
            with Uvicorn(args.peer_python, model) as server:
                figures["uvicorn"] = measure(args, server)
            show("uvicorn", figures["uvicorn"])
    serving.finish(args, "overload", figures)


if __name__ == "__main__":
    serving.main(run)
