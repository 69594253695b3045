# SPDX-License-Identifier: Apache-2.0
"""The showcase's load on its own design, on ours on Ray, and on the C server: `make load`, `make bench-ray`.

For each model and each system in turn, every one started for itself: the showcase's two ramps by k6
(k6/smoke.js), then an open-loop search for the highest rate at which p95 stays below the goal and nothing fails,
by `inferd bench` (constant arrivals, latency since the request was due), with the processor time per request by
kind of process at that rate. Load generator and server share the machine's cores: compare systems, not machines.

Writes into --out: results.json (all of it), MODEL-SYSTEM-PROFILE.json (k6's summaries), series.csv (latency over
time), and by load_report.py the page index.html with its plots. What results.json already holds under the same
settings is not measured again with --resume. Full size, stages of two minutes, is 12 minutes a system and model.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import distilbert
import load_report
from local import MODEL, ROOT
from systems import BIN, NAMES, System

PHRASES = ROOT / "k6" / "phrases.txt"
BUCKET_S = 5


def series(samples: Path) -> list[dict[str, Any]]:
    """Buckets of the run's time: requests, failures, median and p95. `samples` is k6's CSV output."""
    buckets: dict[int, dict[str, list[float]]] = {}
    began = None
    with open(samples, newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            if row["metric_name"] not in ("http_req_duration", "http_req_failed") or row["group"] == "::setup":
                continue
            at = int(row["timestamp"])
            began = at if began is None else began
            bucket = buckets.setdefault((at - began) // BUCKET_S, {"http_req_duration": [], "http_req_failed": []})
            bucket[row["metric_name"]].append(float(row["metric_value"]))
    found = []
    for index in sorted(buckets):
        ms = sorted(buckets[index]["http_req_duration"])
        if ms:
            found.append({"s": index * BUCKET_S, "requests": len(ms), "failed": int(sum(buckets[index]["http_req_failed"])),
                          "p50_ms": statistics.median(ms), "p95_ms": ms[min(len(ms) - 1, int(0.95 * len(ms)))]})
    return found


def k6_ramp(k6: str, system: System, profile: str, stage: str, out: Path) -> dict[str, Any]:
    samples = out.with_suffix(".samples.csv")
    done = subprocess.run([k6, "run", "--quiet", "--no-usage-report", "--out", f"csv={samples}",
                           "-e", f"INFER_URL={system.url}", "-e", f"PROFILE={profile}", "-e", f"STAGE={stage}",
                           "-e", f"OUT={out}", str(ROOT / "k6" / "smoke.js")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode not in (0, 99):  # 99: a threshold was missed, which is a result
        raise SystemExit(f"load: k6 did not run: {done.stdout[-2000:]}")
    summary = json.loads(out.read_text(encoding="utf-8"))
    over_time = series(samples)
    samples.unlink()
    metrics = summary["metrics"]
    duration = metrics["http_req_duration"]["values"]

    def count(name: str) -> int:
        return int(metrics.get(name, {}).get("values", {}).get("count", 0))

    return {"requests": count("http_reqs"), "per_s": metrics["http_reqs"]["values"]["rate"],
            "failed": int(metrics["http_req_failed"]["values"]["passes"]),
            "failed_by_kind": {k: count(f"failed_{k}") for k in
                               ("timeout", "connection", "refused", "server", "client", "body")},
            "wrong": count("failed_body"), "dropped": count("dropped_iterations"),
            "missed": sorted(f"{name} {rule}" for name, m in metrics.items()
                             for rule, t in m.get("thresholds", {}).items() if not t["ok"]),
            "avg_ms": duration["avg"], "p50_ms": duration["med"], "p95_ms": duration["p(95)"],
            "p99_ms": duration["p(99)"], "max_ms": duration["max"], "series": over_time}


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
    """Doubling until it no longer holds, then `refine` halvings of the bracket. The second of two tries counts, so
    that one pause of the machine is not taken for the server's limit."""
    steps, good, bad, rate = [], 0.0, 0.0, first
    while not bad or refine > 0:
        for _ in range(2):
            step = open_loop(system, rate, seconds)
            steps.append(step)
            if holds(step, goal_ms):
                break
            time.sleep(1)  # what waits in queues is over
        if holds(step, goal_ms):
            good = rate
        else:
            bad = rate
        if bad:
            refine -= 1
        rate = float(round((good + bad) / 2 if bad else rate * 2))
        if rate < 1:
            break
    best = max((s for s in steps if holds(s, goal_ms)), key=lambda s: s["rate"], default=None)
    return {"goal_p95_ms": goal_ms, "step_seconds": seconds, "rate": good, "best": best,
            "steps": sorted(steps, key=lambda s: s["rate"])}


def machine() -> dict[str, Any]:
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown")
    inferd = json.loads(subprocess.run([str(BIN), "version", "--json"], stdout=subprocess.PIPE, text=True,
                                       check=True).stdout)
    return {"cpu": cpu, "cores": os.cpu_count(), "inferd": inferd, "ray": version("ray"),
            "date": datetime.date.today().isoformat()}


def measure(o: argparse.Namespace, name: str, path: Path, found: dict[str, Any], model: str) -> None:
    """One system, whatever of it `found` lacks."""
    ramps = found.setdefault("ramps", {})
    profiles = [p for p in o.profiles if "ramps" in o.parts and ramps.get(p, {}).get("stage") != o.stage]
    search = "saturation" in o.parts and "saturation" not in found
    if not profiles and not search:
        return
    with System(name, path, o.threads) as system:
        open_loop(system, 2, 2)  # every process has answered
        for profile in profiles:
            ramps[profile] = {"stage": o.stage, **k6_ramp(o.k6, system, profile, o.stage,
                                                          o.out / f"{model}-{name}-{profile}.json")}
        if search:
            found["saturation"] = saturation(system, o.goal_ms, o.step_seconds, o.first_rate, o.refine)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--systems", nargs="+", choices=list(NAMES), default=list(NAMES))
    p.add_argument("--models", nargs="+", choices=("distilbert", "default"), default=["distilbert"],
                   help="distilbert: DistilBERT-base size, random weights; default: the bundled model")
    p.add_argument("--parts", nargs="+", choices=("ramps", "saturation"), default=["ramps", "saturation"])
    p.add_argument("--k6", required=True, help="path of k6")
    p.add_argument("--stage", default="2m", help="length of each of a ramp's three stages")
    p.add_argument("--profiles", nargs="*", choices=("external", "internal"), default=["external", "internal"])
    p.add_argument("--goal-ms", type=float, default=800.0, help="p95 that the search keeps below")
    p.add_argument("--step-seconds", type=float, default=10.0)
    p.add_argument("--first-rate", type=float, default=10.0)
    p.add_argument("--refine", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    p.add_argument("--resume", action="store_true", help="keep what results.json holds; measure what it lacks")
    p.add_argument("--out", type=Path, default=ROOT / "build" / "results" / "ray")
    o = p.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    to = o.out / "results.json"
    results: dict[str, Any] = json.loads(to.read_text(encoding="utf-8")) if o.resume and to.exists() else {"models": {}}
    results.update(machine=machine(), threads=o.threads, goal_p95_ms=o.goal_ms)
    for model in o.models:
        path = MODEL if model == "default" else distilbert.make(ROOT / "build" / "distilbert-random")
        for name in o.systems:
            began = time.monotonic()
            measure(o, name, path, results["models"].setdefault(model, {}).setdefault(name, {}), model)
            to.write_text(json.dumps(results, indent=1), encoding="utf-8")  # a run of hours may be cut off
            print(f"load: {model}: {NAMES[name]}: done in {time.monotonic() - began:.0f} s", flush=True)
    load_report.write(results, o.out)
    print((o.out / "tables.md").read_text(encoding="utf-8"))
    print(f"load: {o.out / 'index.html'}")


if __name__ == "__main__":
    main()
