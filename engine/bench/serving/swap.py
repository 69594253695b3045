#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Swapping models under load: is an answer lost, mixed up, or late?

    engine/bench/serving/swap.py [--binary build/inferd] [--model models/sst2-minilm-l6]
        [--seconds 100] [--swaps 100] [--load 0.7] [--checked 0.1] [--threads 1]
        [--load-priority idle] [--json FILE]

A server, `inferd bench` with an open loop at `load` of the capacity (a latency counts from when its
request was due), a client that checks `checked` of that rate answer by answer, and a second model
that the script makes: the first with its labels' rows exchanged, so that both say different things
about every text. Phases, the still ones half as long as the others:

  still        no swaps
  swaps        `swaps` loads in `seconds`, one model after the other
  still again
  bad          `swaps` loads of damaged directories, each of which must be refused
  still at last

A checked answer is compared with what `inferd classify` says for the model whose digest it names;
the control compares with the other model, and must find every answer wrong. Where tracefs can be
used (root), the kernel's scheduling events say how long the loader kept a compute thread off its
CPU; the control is `--load-priority normal`, where it does. Standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sched_trace
import serving
import swap_models

ROOT = Path(__file__).resolve().parents[3]
IDLE_S = 10.0  # then the client closes a connection, long before the server would
KEY = "a-key-for-the-swap-bench"


class Server:
    def __init__(self, options: argparse.Namespace, keys: Path, model: Path, log: Path):
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [options.binary, "serve", "--model", str(model), "--port", "0", "--threads",
                 str(options.threads), "--admin-key-file", str(keys), "--load-priority",
                 options.load_priority, "--log-format", "json"], stderr=out)
        end = time.monotonic() + 60
        while "\"ready\"" not in (text := log.read_text(encoding="utf-8")):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the server did not start:\n{text}")
            time.sleep(0.01)
        self.port = int(re.search(r'"url":"http://127\.0\.0\.1:(\d+)"', text).group(1))

    def rss_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


class Connection:
    def __init__(self, port: int):
        self.port, self.reader, self.writer = port, None, None
        self.used = 0.0

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split(" ")[1]), headers, body

    def close(self) -> None:
        if self.writer:
            self.writer.close()
        self.writer = None


def post(path: str, body: dict, key: str = "") -> bytes:
    text = json.dumps(body).encode()
    auth = f"Authorization: Bearer {key}\r\n" if key else ""
    return (f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{auth}"
            f"Content-Length: {len(text)}\r\n\r\n").encode() + text


class Checked:
    """Requests of one text each whose answers are kept, to be compared."""

    def __init__(self, port: int, texts: list[str]):
        self.port, self.texts = port, texts
        self.requests = [post("/infer", {"inputs": [t]}) for t in texts]
        self.idle: list[Connection] = []
        self.answers: list[tuple[str, int, str, int, bytes]] = []
        self.failed: collections.Counter = collections.Counter()

    async def one(self, index: int, phase: str) -> None:
        while self.idle and self.idle[0].used < time.monotonic() - IDLE_S:
            self.idle.pop(0).close()
        connection = self.idle.pop() if self.idle else Connection(self.port)
        try:
            status, headers, body = await connection.ask(self.requests[index])
        except (OSError, asyncio.IncompleteReadError) as e:
            connection.close()
            self.failed[f"{phase}: {type(e).__name__}"] += 1
            return
        connection.used = time.monotonic()
        self.idle.append(connection)
        self.answers.append((phase, status, headers.get("x-model-digest", ""), index, body))

    async def until(self, done: asyncio.Future, rate: float, phase: str, chance: random.Random) -> None:
        due, tasks = time.monotonic(), set()
        while not done.done():
            due += chance.expovariate(rate)
            if (delay := due - time.monotonic()) > 0:
                await asyncio.sleep(delay)
            task = asyncio.create_task(self.one(chance.randrange(len(self.texts)), phase))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)


def offline(binary: str, model: Path, texts: list[str]) -> list[dict]:
    done = subprocess.run([binary, "classify", "--json", "--model", str(model)], input="\n".join(texts) + "\n",
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def wrong(answers: list, want: dict[str, list[dict]]) -> int:
    """Answers that are not what the model of that digest says."""
    bad = 0
    for _phase, status, digest, index, body in answers:
        expected = want[digest][index] if status == 200 and digest in want else None
        got = json.loads(body)[0] if expected else None
        bad += not expected or got["label"] != expected["label"] or \
            abs(got["confidence"] - expected["confidence"]) > 2e-6
    return bad


class Measurement:
    def __init__(self, options: argparse.Namespace, where: Path, server: Server, texts: list[str]):
        self.options, self.where, self.server = options, where, server
        self.checked, self.chance = Checked(server.port, texts), random.Random(1)
        self.admin = Connection(server.port)
        self.url = f"http://127.0.0.1:{server.port}/infer"
        self.took: list[float] = []
        self.damage: collections.Counter = collections.Counter()

    async def order(self, path: Path) -> tuple[int, dict]:
        status, _headers, body = await self.admin.ask(post("/admin/models/load", {"path": str(path)}, KEY))
        return status, json.loads(body)

    async def load(self, seconds: float, rate: int = 0) -> dict:
        open_loop = {"rate": rate, "arrivals": "poisson"} if rate else {}
        return await asyncio.to_thread(serving.bench, Path(self.options.binary), self.url, connections=64,
                                       duration=f"{seconds:g}s", expect_labels=1, **open_loop)

    async def orders(self, phase: str, seconds: float, codes: collections.Counter) -> None:
        began = time.monotonic()
        for i in range(self.options.swaps if phase in ("swaps", "bad") else 0):
            await asyncio.sleep(max(0.0, began + (i + 0.5) * seconds / self.options.swaps - time.monotonic()))
            path = self.where / ("two", "one")[i % 2]
            if phase == "bad":
                path = self.where / "bad"
                self.damage[await asyncio.to_thread(swap_models.spoil, self.where / "one", path, i)] += 1
            at = time.monotonic()
            status, _state = await self.order(path)
            self.took.append(time.monotonic() - at)
            codes[status] += 1

    async def phase(self, phase: str, seconds: float, rate: float) -> dict:
        codes: collections.Counter = collections.Counter()
        self.took.clear()
        pid = self.server.process.pid
        watch = (sched_trace.Trace(pid, "inferd-compute", "inferd-loader") if sched_trace.available()
                 else contextlib.nullcontext())
        share = self.options.checked
        with watch as blame:
            both = asyncio.gather(self.load(seconds, round(rate * (1 - share))), self.orders(phase, seconds, codes))
            await self.checked.until(both, rate * share, phase, self.chance)
            figures = both.result()[0]
        latency, took = figures["ok_latency_ms"], sorted(self.took)
        return {"seconds": round(figures["elapsed_s"], 1), "requests": figures["requests"],
                "failed": serving.failures(figures), "refused": figures["refused"],
                "checked": dict(collections.Counter(a[1] for a in self.checked.answers if a[0] == phase)),
                "p50_ms": latency["p50"], "p99_ms": latency["p99"], "p999_ms": latency["p99_9"],
                "max_ms": latency["max"], "orders": dict(codes),
                "order_seconds": {"median": round(took[len(took) // 2], 3), "max": round(took[-1], 3)} if took else None,
                "compute_waited_for_loader": blame.figures() if blame else "no tracefs here",
                "rss_mb": round(self.server.rss_mb(), 1)}

    async def run(self) -> dict:
        digests, phases, o = {}, {}, self.options
        for model in (self.where / "two", self.where / "one"):
            status, state = await self.order(model)
            if status != 200:
                raise SystemExit(f"the good model was refused: {state}")
            digests[state["active"]["digest"]] = model
        capacity = max([(await self.load(2))["ok_per_s"] for _ in range(3)])
        rate = o.rate or o.load * capacity
        print(f"capacity {capacity:.0f} requests/s, so {rate:.0f}/s are sent", file=sys.stderr)
        for phase in ("still", "swaps", "still again", "bad", "still at last"):
            phases[phase] = await self.phase(phase, o.seconds / (2 if "still" in phase else 1), rate)
            print(f"{phase}: {phases[phase]}", file=sys.stderr)
        checked = self.checked
        want = {d: offline(o.binary, m, checked.texts) for d, m in digests.items()}
        good = [a for a in checked.answers if a[1] == 200]
        crossed = dict(zip(want, reversed(list(want.values()))))
        still = sorted(p["p99_ms"] for name, p in phases.items() if "still" in name)
        self.admin.close()
        for connection in checked.idle:
            connection.close()
        return {"phases": phases, "capacity": round(capacity), "rate": round(rate),
                "failed": dict(checked.failed), "answers": len(checked.answers),
                "not_200": len(checked.answers) - len(good),
                "by_model": {str(digests[d].name): sum(a[2] == d for a in checked.answers) for d in want},
                "mixed_up": wrong(good, want), "control_mixed_up": wrong(good, crossed),
                "p99_ratio": round(phases["swaps"]["p99_ms"] / still[1], 2), "still_p99_ms": still,
                "damage": dict(self.damage)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--binary", default=str(ROOT / "build" / "inferd"))
    parser.add_argument("--model", default=str(ROOT / "models" / "sst2-minilm-l6"))
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--load", type=float, default=0.7)
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second instead of a share of capacity")
    parser.add_argument("--checked", type=float, default=0.1, help="share of the requests whose answers are compared")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--load-priority", choices=("idle", "normal"), default="idle")
    parser.add_argument("--json", help="write the figures there as well")
    options = parser.parse_args()
    words = "a good bad film is not the best of this year and its plot never felt so slow to me at all".split()
    chance = random.Random(5)
    texts = [" ".join(chance.choices(words, k=chance.randint(4, 24))) for _ in range(200)]
    with tempfile.TemporaryDirectory() as room:
        where = Path(room)
        for name in ("one", "two"):
            shutil.copytree(options.model, where / name)
        swap_models.exchange_labels(where / "two")
        for name in ("one", "two"):
            subprocess.run([options.binary, "inspect", str(where / name), "--write-manifest"], check=True,
                           stdout=subprocess.DEVNULL)
        (where / "keys").write_text(KEY + "\n", encoding="ascii")
        server = Server(options, where / "keys", where / "one", where / "log")
        try:
            result = asyncio.run(Measurement(options, where, server, texts).run())
        finally:
            server.process.terminate()
            code = server.process.wait(60)
        print(json.dumps(result, indent=1))
        if options.json:
            Path(options.json).parent.mkdir(parents=True, exist_ok=True)
            Path(options.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        good = (code == 0 and not result["failed"] and result["not_200"] == 0
                and not any(p["failed"] for p in result["phases"].values()) and result["mixed_up"] == 0
                and result["control_mixed_up"] == result["answers"] - result["not_200"]
                and result["phases"]["swaps"]["orders"] == {200: options.swaps}
                and result["phases"]["bad"]["orders"] == {422: options.swaps})
        print("swap: nothing failed, nothing mixed up, every bad model refused" if good else "swap: NOT as it must be",
              file=sys.stderr)
        raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
