#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the server's memory or its open files grow with the number of requests that it has answered.

Millions of requests of mixed lengths, one in twenty bad (an empty text, which is a 400), and beside
them a trickle for a path that does not exist. Resident memory and open files are sampled; after the
warm-up a line is put through them by least squares. Growth is a slope that is above the limit and
above four of its standard errors.

The analyser must catch what leaks: --control lets idle connections pile up during the run, some
hundreds of bytes and one file each, and the run then fails unless both are found.
"""

from __future__ import annotations

import random
import tempfile
import time
import urllib.error
import urllib.request
import json
from pathlib import Path

import serving
import stats
from crowd import CrowdProcess

WORDS = ("a the good bad film was not very long short plot actor music love hate never again see think "
         "wonderful awful quiet loud story ending beginning nobody everybody").split()


def write_texts(path: Path, bad_share: float, count: int = 4000) -> None:
    draw = random.Random(9)
    lines = []
    for i in range(count):
        if draw.random() < bad_share:
            lines.append("")
        else:
            lines.append(" ".join(draw.choice(WORDS) for _ in range(1 + int(draw.expovariate(1 / 12)))))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def answered(server: serving.Inferd) -> int | None:
    """Requests as the server counts them, or None if it does not say."""
    try:
        with urllib.request.urlopen(server.url + "/info", timeout=30) as answer:
            return int(json.load(answer)["counts"]["requests"])
    except (OSError, KeyError, ValueError, urllib.error.HTTPError):
        return None


def sample(args, server: serving.Inferd, load, crowd: CrowdProcess | None) -> list[dict]:
    samples, began = [], time.monotonic()
    while load.poll() is None:
        at = time.monotonic() - began
        if at > args.seconds_most:
            load.terminate()
        if crowd:
            crowd.set(idle=int(at * args.control_per_s))
        requests = answered(server)
        if requests is not None:
            samples.append({"at_s": at, "requests": requests, "rss_bytes": serving.rss_bytes(server.pid),
                            "fds": serving.fd_count(server.pid)})
        server.check()
        time.sleep(args.every)
    return samples


def judge(samples: list[dict], warmup: float, rss_limit: float, fd_limit: float) -> dict:
    """Slopes per million requests, and whether they are growth."""
    if len(samples) < 8:
        raise serving.Failed(f"{len(samples)} samples are too few: more requests, or a smaller --every")
    found = {"samples": len(samples)}
    for key, limit in (("rss_bytes", rss_limit), ("fds", fd_limit)):
        points = stats.after_warmup([(s["requests"] / 1e6, s[key]) for s in samples], warmup)
        line = stats.least_squares(points)
        found[key] = {"slope_per_million": line.slope, "slope_error": line.slope_error, "limit": limit,
                      "first": points[0][1], "last": points[-1][1], "grows": stats.grows(points, limit)}
    return found


def run() -> None:
    p = serving.parser(__doc__.split("\n\n")[0])
    p.set_defaults(model="tiny")
    p.add_argument("--requests", type=int, default=2_000_000)
    p.add_argument("--seconds-most", type=float, default=540.0, help="end the load then, whatever was done")
    p.add_argument("--connections", type=int, default=32)
    p.add_argument("--bad-share", type=float, default=0.05)
    p.add_argument("--every", type=float, default=2.0, help="seconds between samples")
    p.add_argument("--warmup", type=float, default=0.3, help="share of the requests that are not looked at")
    p.add_argument("--rss-limit", type=float, default=262144.0, help="bytes per million requests that are no growth")
    p.add_argument("--fd-limit", type=float, default=20.0, help="files per million requests that are none")
    p.add_argument("--control", action="store_true", help="let connections pile up: growth must be found")
    p.add_argument("--control-per-s", type=float, default=50.0, help="connections that the control adds")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as where:
        write_texts(Path(where) / "texts", args.bad_share)
        with serving.Inferd(args.binary, serving.model_of(args, Path(where)), *args.server) as server:
            port = int(server.url.rsplit(":", 1)[1])
            crowd = CrowdProcess(port) if args.control else None
            common = {"report_interval": 0, "timeout": "60s"}
            side = serving.start_bench(args.binary, server.url + "/none", rate=20, connections=2, duration="86400s", **common)
            load = serving.start_bench(args.binary, server.url, requests=args.requests, connections=args.connections,
                                       texts=Path(where) / "texts", **common)
            try:
                samples = sample(args, server, load, crowd)
                f, beside = serving.end_bench(load), serving.stop_bench(side)
            finally:
                for process in (load, side):
                    if process.poll() is None:
                        process.kill()
                        process.wait()
                if crowd:
                    crowd.__exit__()
    verdict = judge(samples, args.warmup, args.rss_limit, args.fd_limit)
    serving.table(["per million requests", "slope", "error", "limit", "first", "last", "grows"],
                  [[k, verdict[k]["slope_per_million"], verdict[k]["slope_error"], verdict[k]["limit"],
                    verdict[k]["first"], verdict[k]["last"], verdict[k]["grows"]] for k in ("rss_bytes", "fds")])
    print(f"{f['requests']:,} requests at {f['ended_per_s']:,.0f}/s: {f['status']} {serving.failures(f)}; "
          f"beside them {beside['status']}")
    serving.finish(args, "memory", {"control": args.control, "requests": f["requests"], "status": f["status"],
                                    "failures": serving.failures(f), "beside": beside["status"], "verdict": verdict,
                                    "samples": samples})
    grows = [verdict["rss_bytes"]["grows"], verdict["fds"]["grows"]]
    if args.control and not all(grows):
        raise serving.Failed("the control's growth was not found: this analyser is blind")
    if not args.control and any(grows):
        raise serving.Failed("it grows")


if __name__ == "__main__":
    serving.main(run)
