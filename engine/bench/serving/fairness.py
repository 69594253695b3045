#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a client of single inputs waits when another sends the largest requests as fast as it may.

The single client is an open loop at a fixed rate, so it offers the same load in each phase:

  alone    nothing else
  control  beside a closed loop of as many connections as the hog's, one input per request
  hog      beside that closed loop with --hog-inputs (128) per request

The hog's price alone would mix two things: that the machine is busy at all, and that the work
comes in large pieces. The control has the first without the second: a server without fairness
cannot be had for comparison, but hog / control shows what its absence would cost. Phases alternate.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import serving
import stats

PHASES = ("alone", "control", "hog")


def phase(args, server: serving.Inferd, name: str) -> dict:
    hog = None
    if name != "alone":
        hog = serving.start_bench(args.binary, server.url, connections=args.hog_connections,
                                  inputs=args.hog_inputs if name == "hog" else 1,
                                  duration=f"{args.seconds + 30}s", timeout="60s", report_interval=0)
    try:
        f = serving.bench(args.binary, server.url, rate=args.rate, arrivals="poisson", connections=args.connections,
                          warmup="1s", duration=f"{args.seconds}s", timeout="60s", report_interval=0)
        beside = serving.stop_bench(hog) if hog else None
    finally:
        if hog and hog.poll() is None:
            hog.kill()
            hog.wait()
    server.check()
    if f["ok"] != f["requests"]:
        serving.step(f"{name}: {f['status']} {serving.failures(f)}")
    return {"requests": f["requests"], "ok": f["ok"], "p50_ms": serving.time_of(f, "ok_latency_ms", "p50"),
            "p99_ms": serving.time_of(f, "ok_latency_ms", "p99"), "max_ms": serving.time_of(f, "ok_latency_ms", "max"),
            "client_late_p99_ms": serving.time_of(f, "client_late_ms", "p99"),
            "hog_inputs_per_s": beside["inputs_per_s"] if beside else 0.0}


def middle(rounds: list[dict]) -> dict:
    """Of each figure the median of the rounds: the ratio of two minima would flatter the noisier."""
    found = {}
    for key in rounds[0]:
        values = [r[key] for r in rounds if r[key] is not None]
        found[key] = stats.median(values) if values else None
    return found


def run() -> None:
    p = serving.parser(__doc__.split("\n\n")[0])
    p.add_argument("--rate", type=int, default=20, help="requests per second of the single client")
    p.add_argument("--connections", type=int, default=32, help="of the single client")
    p.add_argument("--hog-connections", type=int, default=4)
    p.add_argument("--hog-inputs", type=int, default=128)
    p.add_argument("--seconds", type=float, default=15.0, help="of one phase")
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    rounds: dict[str, list[dict]] = {name: [] for name in PHASES}
    with tempfile.TemporaryDirectory() as where:
        with serving.Inferd(args.binary, serving.model_of(args, Path(where)), *args.server) as server:
            for i in range(args.rounds):
                for name in PHASES[i % 3:] + PHASES[:i % 3]:
                    serving.step(f"round {i + 1} of {args.rounds}: {name}")
                    rounds[name].append(phase(args, server, name))
    shown = {name: middle(r) for name, r in rounds.items()}
    serving.table(["median of rounds", "requests", "ok", "p50 ms", "p99 ms", "max ms", "hog inputs/s"],
                  [[n, s["requests"], s["ok"], s["p50_ms"], s["p99_ms"], s["max_ms"], s["hog_inputs_per_s"]]
                   for n, s in shown.items()])
    p99 = {n: s["p99_ms"] for n, s in shown.items()}
    figures = {"rate": args.rate, "hog_connections": args.hog_connections, "hog_inputs": args.hog_inputs,
               "median": shown, "rounds": rounds}
    if all(p99.values()):
        figures["p99_ratio"] = {"hog_to_alone": p99["hog"] / p99["alone"], "control_to_alone": p99["control"] / p99["alone"],
                                "hog_to_control": p99["hog"] / p99["control"]}
        print("p99  " + "  ".join(f"{k.replace('_', ' ')} {v:.2f}" for k, v in figures["p99_ratio"].items()))
    few = stats.percentile_needs(990000)
    if min(s["ok"] for s in shown.values()) < few:
        print(f"a p99 needs some {few} answers: raise --seconds or --rate")
    serving.finish(args, "fairness", figures)


if __name__ == "__main__":
    serving.main(run)
