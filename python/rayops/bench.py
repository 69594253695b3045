# SPDX-License-Identifier: Apache-2.0
"""The showcase's load on its own design, on ours, and on the C server: `make bench-ray`.

For each system in turn, each started for itself: the showcase's two ramps by k6, then an open-loop search for
the highest rate at which p95 stays below the goal and nothing fails, by `inferd bench` (constant arrivals,
latency since the request was due), with the processor time per request by kind of process at that rate.

Writes build/results/ray/bench.{json,csv,png}. Full size is --stage 2m (12 minutes a system); shorter stages keep
the same rates. Load generator and server share the machine's cores: compare systems, not machines.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import distilbert
from local import ROOT
from systems import BIN, NAMES, System

PHRASES = ROOT / "k6" / "phrases.txt"


def k6_ramp(k6: str, system: System, profile: str, stage: str, out: Path) -> dict[str, Any]:
    subprocess.run([k6, "run", "--quiet", "--no-usage-report", "-e", f"URL={system.url}", "-e", f"PROFILE={profile}",
                    "-e", f"STAGE={stage}", "-e", f"OUT={out}", str(ROOT / "k6" / "ramp.js")],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)  # 99: a threshold was missed
    metrics = json.loads(out.read_text(encoding="utf-8"))["metrics"]
    duration, checks = metrics["http_req_duration"]["values"], metrics["checks"]["values"]
    requests = int(metrics["http_reqs"]["values"]["count"])
    return {"requests": requests, "per_s": metrics["http_reqs"]["values"]["rate"],
            "failed": int(metrics["http_req_failed"]["values"]["passes"]),
            "wrong": int(checks["fails"]),
            "dropped": int(metrics.get("dropped_iterations", {}).get("values", {}).get("count", 0)),
            "p50_ms": duration["med"], "p95_ms": duration["p(95)"], "p99_ms": duration["p(99)"],
            "max_ms": duration["max"]}


def open_loop(system: System, rate: float, seconds: float) -> dict[str, Any]:
    before, began = system.cpu_seconds(), time.monotonic()
    out = subprocess.run([str(BIN), "bench", system.url, "--rate", str(round(rate)), "--connections", "64",
                          "--duration", f"{seconds}s", "--warmup", "1s", "--texts", str(PHRASES), "--inputs", "2",
                          "--order", "random", "--expect-labels", "2", "--timeout", "10s", "--json"],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    report = json.loads(out)
    after, elapsed = system.cpu_seconds(), time.monotonic() - began
    sent = report["requests"] + report["warmup_requests"]
    latency = report["ok_latency_ms"]
    return {"rate": rate, "requests": report["requests"], "ok": report["ok"], "ok_per_s": report["ok_per_s"],
            "refused": report["refused"], "failed": report["requests"] - report["ok"] - report["refused"],
            "p50_ms": latency.get("p50"), "p95_ms": latency.get("p95"), "p99_ms": latency.get("p99"),
            "client_cpu": report["client"]["cpu_share"], "client_saturated": report["client"]["saturated"],
            "cpu_ms_per_request": {k: round(1000 * (after.get(k, 0.0) - before.get(k, 0.0)) / max(sent, 1), 4)
                                   for k in sorted(after)},
            "cpu_share": {k: round((after.get(k, 0.0) - before.get(k, 0.0)) / elapsed, 3) for k in sorted(after)}}


def holds(step: dict[str, Any], goal_ms: float) -> bool:
    p95 = step["p95_ms"]
    return bool(step["ok"] == step["requests"] and p95 is not None and p95 < goal_ms
                and step["ok_per_s"] >= 0.95 * step["rate"])


def saturation(system: System, goal_ms: float, seconds: float, first: float, refine: int) -> dict[str, Any]:
    """Doubling until it no longer holds, then `refine` halvings of the bracket."""
    steps, good, bad, rate = [], 0.0, 0.0, first
    while not bad or refine > 0:
        step = open_loop(system, rate, seconds)
        steps.append(step)
        if holds(step, goal_ms):
            good = rate
        else:
            bad = rate
            time.sleep(1)  # what waits in queues is over
        if bad:
            refine -= 1
        rate = float(round((good + bad) / 2 if bad else rate * 2))
        if rate < 1:
            break
    best = max((s for s in steps if holds(s, goal_ms)), key=lambda s: s["rate"], default=None)
    return {"goal_p95_ms": goal_ms, "rate": good, "best": best, "steps": sorted(steps, key=lambda s: s["rate"])}


def table(results: dict[str, Any]) -> str:
    lines = ["| system | ramp | requests | failed | wrong | dropped | req/s | p50 ms | p95 ms | p99 ms |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for name, r in results["systems"].items():
        for profile, k in r["ramps"].items():
            lines.append(f"| {NAMES[name]} | {profile} | {k['requests']} | {k['failed']} | {k['wrong']} | {k['dropped']} | "
                         f"{k['per_s']:.1f} | {k['p50_ms']:.1f} | {k['p95_ms']:.1f} | {k['p99_ms']:.1f} |")
    lines += ["", "| system | highest rate that holds, req/s | p95 ms there | processor ms per request, by process |",
              "|---|---|---|---|"]
    for name, r in results["systems"].items():
        best = r.get("saturation", {}).get("best")
        if best:
            cpu = ", ".join(f"{k} {v:.2f}" for k, v in best["cpu_ms_per_request"].items() if v >= 0.005)
            lines.append(f"| {NAMES[name]} | {best['rate']:.0f} | {best['p95_ms']:.1f} | {cpu} |")
        elif "saturation" in r:
            lines.append(f"| {NAMES[name]} | none | | |")
    return "\n".join(lines)


def write_csv(results: dict[str, Any], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["system", "kind", "rate", "requests", "ok_per_s", "failed", "refused", "dropped", "p50_ms", "p95_ms",
                    "p99_ms"])
        for name, r in results["systems"].items():
            for profile, k in r["ramps"].items():
                w.writerow([name, f"ramp-{profile}", "", k["requests"], round(k["per_s"], 3), k["failed"], "", k["dropped"],
                            k["p50_ms"], k["p95_ms"], k["p99_ms"]])
            for s in r.get("saturation", {}).get("steps", []):
                w.writerow([name, "open-loop", s["rate"], s["requests"], s["ok_per_s"], s["failed"], s["refused"], "",
                            s["p50_ms"], s["p95_ms"], s["p99_ms"]])


def plot(results: dict[str, Any], path: Path) -> None:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    for name, r in results["systems"].items():
        steps = [s for s in r.get("saturation", {}).get("steps", []) if s["p95_ms"]]
        left.plot([s["rate"] for s in steps], [s["p95_ms"] for s in steps], "o-", label=NAMES[name], markersize=3)
    left.axhline(results["goal_p95_ms"], color="gray", linestyle=":")
    left.set(xscale="log", yscale="log", xlabel="offered requests per second", ylabel="p95, ms since due",
             title="Open loop, DistilBERT size, two phrases a request")
    left.legend(fontsize=7)
    names = [n for n, r in results["systems"].items() if r["ramps"]]
    for i, profile in enumerate(results["profiles"]):
        values = [results["systems"][n]["ramps"][profile]["p95_ms"] for n in names]
        bars = right.bar([x + 0.4 * i for x in range(len(names))], values, 0.4, label=f"{profile} ramp")
        right.bar_label(bars, fmt="%.0f", fontsize=7)
    right.set_xticks([x + 0.2 for x in range(len(names))], names, fontsize=8)
    right.set(yscale="log", ylabel="p95, ms", title=f"The showcase's ramps, stages of {results['stage']}")
    right.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--systems", nargs="+", choices=list(NAMES), default=list(NAMES))
    p.add_argument("--k6", required=True, help="path of k6")
    p.add_argument("--stage", default="2m", help="length of each of a ramp's three stages")
    p.add_argument("--profiles", nargs="*", choices=("external", "internal"), default=["external", "internal"])
    p.add_argument("--goal-ms", type=float, default=800.0, help="p95 that the search keeps below")
    p.add_argument("--step-seconds", type=float, default=10.0)
    p.add_argument("--first-rate", type=float, default=10.0)
    p.add_argument("--refine", type=int, default=5)
    p.add_argument("--model", type=Path, help="default: DistilBERT-base size, random weights")
    p.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    p.add_argument("--out", type=Path, default=ROOT / "build" / "results" / "ray")
    o = p.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    model = o.model or distilbert.make(ROOT / "build" / "distilbert-random")
    results: dict[str, Any] = {"model": model.name, "stage": o.stage, "threads": o.threads, "goal_p95_ms": o.goal_ms,
                               "profiles": o.profiles, "cores": os.cpu_count(), "systems": {}}
    for name in o.systems:
        began, found = time.monotonic(), {"ramps": {}}
        with System(name, model, o.threads) as system:
            open_loop(system, 2, 2)  # every process has answered
            for profile in o.profiles:
                found["ramps"][profile] = k6_ramp(o.k6, system, profile, o.stage, o.out / f"k6-{name}-{profile}.json")
            if o.refine > 0:
                found["saturation"] = saturation(system, o.goal_ms, o.step_seconds, o.first_rate, o.refine)
        results["systems"][name] = found
        print(f"bench-ray: {NAMES[name]}: done in {time.monotonic() - began:.0f} s", flush=True)
    (o.out / "bench.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    write_csv(results, o.out / "bench.csv")
    plot(results, o.out / "bench.png")
    text = table(results)
    (o.out / "bench.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
