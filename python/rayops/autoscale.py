# SPDX-License-Identifier: Apache-2.0
"""Replicas over time beside the load: a step up and the way back, scaled on the engine's saturation.

    make faults-ray SCRIPT=autoscale

First a closed loop finds what one replica can do. Then: a tenth of it, `--high` times it for `--high-seconds`,
and nothing. Writes build/results/ray/autoscale.{csv,png} and says how long the first new replica took.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import time
from pathlib import Path

import distilbert
import load_report
import local
from local import ROOT

BIN = ROOT / "build" / "inferd"


def load(port: int, seconds: float, rate: int) -> subprocess.Popen[str]:
    options = ["--rate", str(rate), "--connections", "256"] if rate else ["--connections", "32", "--warmup", "1s"]
    return subprocess.Popen([str(BIN), "bench", f"http://127.0.0.1:{port}/infer", *options,
                             "--duration", f"{seconds}s", "--texts", str(ROOT / "k6" / "phrases.txt"), "--inputs", "2",
                             "--expect-labels", "2", "--timeout", "10s", "--json"], stdout=subprocess.PIPE, text=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--high", type=float, default=1.3, help="of one replica's capacity")
    p.add_argument("--low-seconds", type=float, default=10.0)
    p.add_argument("--high-seconds", type=float, default=40.0)
    p.add_argument("--idle-seconds", type=float, default=40.0)
    p.add_argument("--max-replicas", type=int, default=2)
    p.add_argument("--downscale-delay", type=float, default=10.0)
    p.add_argument("--port", type=int, default=18450)
    p.add_argument("--out", type=Path, default=ROOT / "build" / "results" / "ray")
    o = p.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    model = distilbert.make(ROOT / "build" / "distilbert-random")
    rows: list[tuple[float, str, int, int]] = []
    with local.LocalRay(haproxy=True, cpus=max(4, o.max_replicas + 1)) as ray:
        ray.deploy(local.config(model, port=o.port, args={
            "min_replicas": 1, "max_replicas": o.max_replicas, "downscale_delay_s": o.downscale_delay}))
        # within the upscale delay, so that it is one replica's figure
        capacity = json.loads(load(o.port, 3, 0).communicate()[0])["ok_per_s"]
        time.sleep(8 + o.downscale_delay)
        phases = [("low", o.low_seconds, max(1, round(capacity / 10))), ("high", o.high_seconds, round(capacity * o.high)),
                  ("idle", o.idle_seconds, 0)]
        began, reports, step_at, up_at = time.monotonic(), {}, 0.0, None
        for name, seconds, rate in phases:
            process = load(o.port, seconds, rate) if rate else None
            start = time.monotonic() - began
            step_at = start if name == "high" else step_at
            while (now := time.monotonic() - began) < start + seconds:
                n = ray.replicas()
                rows.append((round(now, 2), name, rate, n))
                if name == "high" and n > 1 and up_at is None:
                    up_at = now
                time.sleep(0.25)
            if process:
                r = json.loads(process.communicate()[0])
                # above what the machine can do, requests wait for one of the client's connections: not the service's failure
                sent = r["requests"] - r["outcomes"]["not_sent"]
                reports[name] = {"rate": rate, "due": r["requests"], "sent": sent, "ok": r["ok"], "refused": r["refused"],
                                 "failed": sent - r["ok"] - r["refused"], "p95_ms": r["ok_latency_ms"].get("p95")}
    with open(o.out / "autoscale.csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["seconds", "phase", "requests_per_s", "replicas"])
        w.writerows(rows)
    figure = load_report.replicas_figure([(at, rate, n) for at, _, rate, n in rows])
    figure.tight_layout()
    figure.savefig(o.out / "autoscale.png", dpi=130)
    result = {"capacity_per_s": round(capacity), "first_new_replica_s": up_at and round(up_at - step_at, 1),
              "most": max(r[3] for r in rows), "at_end": rows[-1][3], "phases": reports}
    (o.out / "autoscale.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(json.dumps(result))
    if up_at is None or rows[-1][3] != 1:
        raise SystemExit("autoscale: it did not scale up and down again")


if __name__ == "__main__":
    main()
