#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Swapping models under load: is an answer lost, mixed up, or late?

    engine/bench/serving/swap.py [--binary build/inferd] [--model models/sst2-minilm-l6]
        [--seconds 100] [--swaps 100] [--load 0.7] [--threads 1]
        [--load-priority idle] [--json FILE]

A server, an open-loop client (requests leave on a fixed schedule, and a latency counts from the
moment at which the request was due, so a stall is not hidden by the client's own waiting) and a
second model that the script makes: the first with its labels' rows exchanged, so that both say
different things about every text. Four phases of `seconds` each, the first and last half as long:

  still    no swaps                    swaps   `swaps` loads, one model after the other
  bad      `swaps` loads of damaged directories, each of which must be refused
  still    no swaps again: memory back, and how far the machine's own noise goes

Every answer is compared with what `inferd classify` says for the model whose digest it names; the
control compares with the other model, and must find every answer wrong. Beside latencies the script
reads how long the server's compute and I/O threads were ready but not running (/proc schedstat):
what a loader at idle priority takes away from them shows there. Standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KEY = "a-key-for-the-swap-bench"


def read_tensors(path: Path) -> tuple[dict, bytearray]:
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0])), bytearray(f.read())


def write_tensors(path: Path, header: dict, data: bytearray) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def exchange_labels(model: Path) -> None:
    header, data = read_tensors(model / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        begin, end = header[name]["data_offsets"]
        half = (end - begin) // 2
        data[begin:end] = data[begin + half:end] + data[begin:begin + half]
    write_tensors(model / "model.safetensors", header, data)


def damage(model: Path, how: int, chance: random.Random) -> str:
    """One fault; its name."""
    weights = model / "model.safetensors"
    size = weights.stat().st_size
    kind = ("flip a bit", "cut", "no config", "wrong shapes", "no weights", "bad manifest",
            "unlisted file", "NaN")[how % 8]
    if kind == "flip a bit":
        with open(weights, "r+b") as f:
            at = chance.randrange(size)
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << chance.randrange(8)]))
    elif kind == "cut":
        os.truncate(weights, chance.randrange(size))
    elif kind == "no config":
        (model / "config.json").unlink()
    elif kind == "wrong shapes":
        (model / "SHA256SUMS").unlink()
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        for key in ("hidden_size", "dim"):
            if key in config:
                config[key] *= 2
        (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    elif kind == "no weights":
        weights.unlink()
    elif kind == "bad manifest":
        (model / "SHA256SUMS").write_text("no manifest\n", encoding="ascii")
    elif kind == "unlisted file":
        lines = (model / "SHA256SUMS").read_text(encoding="ascii").splitlines(True)
        (model / "SHA256SUMS").write_text("".join(lines[:-1]), encoding="ascii")
    else:
        (model / "SHA256SUMS").unlink()
        header, data = read_tensors(weights)
        begin, end = header["classifier.bias"]["data_offsets"]
        data[begin:end] = b"\xff" * (end - begin)
        write_tensors(weights, header, data)
    return kind


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

    def waits(self) -> dict[int, int]:
        """Nanoseconds that each thread was ready but not running. The loader's thread is among
        them; what is busy in both phases is what counts."""
        found = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                policy = int((task / "stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[38])
                if policy != 5:  # SCHED_IDLE: the loader
                    found[int(task.name)] = int((task / "schedstat").read_text(encoding="ascii").split()[1])
            except (OSError, IndexError):
                pass
        return found


class Connection:
    def __init__(self, port: int):
        self.port, self.reader, self.writer = port, None, None

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


class Load:
    """Requests of one text each; what came back, by phase."""

    def __init__(self, port: int, texts: list[str]):
        self.port, self.texts = port, texts
        self.requests = [post("/infer", {"inputs": [t]}) for t in texts]
        self.idle: list[Connection] = []
        self.answers: list[tuple[str, int, str, int, bytes]] = []
        self.latency: dict[str, list[float]] = collections.defaultdict(list)
        self.failed: collections.Counter = collections.Counter()

    async def one(self, index: int, due: float, phase: str) -> None:
        connection = self.idle.pop() if self.idle else Connection(self.port)
        try:
            status, headers, body = await connection.ask(self.requests[index])
        except (OSError, asyncio.IncompleteReadError) as e:
            connection.close()
            self.failed[f"{phase}: {type(e).__name__}"] += 1
            return
        self.idle.append(connection)
        self.latency[phase].append(time.monotonic() - due)
        self.answers.append((phase, status, headers.get("x-model-digest", ""), index, body))

    async def capacity(self, seconds: float, clients: int = 16) -> float:
        """Closed loop: answers per second."""
        end, count = time.monotonic() + seconds, 0

        async def client() -> None:
            nonlocal count
            c = Connection(self.port)
            while time.monotonic() < end:
                await c.ask(self.requests[count % len(self.requests)])
                count += 1
            c.close()

        await asyncio.gather(*(client() for _ in range(clients)))
        return count / seconds

    async def open_loop(self, rate: float, seconds: float, phase: str, chance: random.Random,
                        orders: asyncio.Task | None) -> None:
        """For `seconds`, and on until the orders beside it are done."""
        due, tasks = time.monotonic(), set()
        end = due + seconds
        while due < end or (orders and not orders.done()):
            due += chance.expovariate(rate)
            if (delay := due - time.monotonic()) > 0:
                await asyncio.sleep(delay)
            task = asyncio.create_task(self.one(chance.randrange(len(self.texts)), due, phase))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)


def percentile(values: list[float], p: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(p * len(ordered)))] * 1e3


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


async def measure(options: argparse.Namespace, where: Path, server: Server, texts: list[str]) -> dict:
    one, two = where / "one", where / "two"
    load, chance = Load(server.port, texts), random.Random(1)
    admin = Connection(server.port)

    async def order(path: Path) -> tuple[int, dict]:
        status, _headers, body = await admin.ask(post("/admin/models/load", {"path": str(path)}, KEY))
        return status, json.loads(body)

    digests = {}
    for model in (two, one):
        status, state = await order(model)
        if status != 200:
            raise SystemExit(f"the good model was refused: {state}")
        digests[state["active"]["digest"]] = model
    await load.capacity(1)
    capacity = await load.capacity(4)
    rate = options.load * capacity
    print(f"capacity {capacity:.0f} requests/s, so {rate:.0f}/s are sent", file=sys.stderr)
    took: list[float] = []
    codes = {"swaps": collections.Counter(), "bad": collections.Counter()}
    kinds: collections.Counter = collections.Counter()

    async def orders(phase: str, seconds: float) -> None:
        began = time.monotonic()
        for i in range(options.swaps):
            await asyncio.sleep(max(0.0, began + (i + 0.5) * seconds / options.swaps - time.monotonic()))
            path = (two, one)[i % 2]
            if phase == "bad":
                path = where / "bad"
                kinds[(await asyncio.to_thread(spoil, one, path, i))] += 1
            at = time.monotonic()
            status, _state = await order(path)
            took.append(time.monotonic() - at)
            codes[phase][status] += 1

    def spoil(good: Path, bad: Path, i: int) -> str:
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(good, bad)
        return damage(bad, i, random.Random(i))

    result: dict = {"phases": {}, "rss_mb": {"before": round(server.rss_mb(), 1)}}
    for phase, seconds in (("still", options.seconds / 2), ("swaps", options.seconds),
                           ("bad", options.seconds), ("still again", options.seconds / 2)):
        waits = server.waits()
        took.clear()
        began = time.monotonic()
        beside = asyncio.create_task(orders(phase, seconds)) if phase in codes else None
        await load.open_loop(rate, seconds, phase, chance, beside)
        if beside:
            await beside
        seconds = time.monotonic() - began
        now = server.waits()
        values = load.latency[phase]
        result["phases"][phase] = {
            "seconds": round(seconds, 1), "requests": len(values), "p50_ms": round(percentile(values, 0.5), 2),
            "p99_ms": round(percentile(values, 0.99), 2), "p999_ms": round(percentile(values, 0.999), 2),
            "max_ms": round(max(values) * 1e3, 2),
            "threads_waited_ms_per_s": round(sum(now[t] - waits[t] for t in now if t in waits) / 1e6 / seconds, 2),
            "statuses": dict(collections.Counter(a[1] for a in load.answers if a[0] == phase)),
            "orders": dict(codes.get(phase, {})),
            "order_seconds": {"median": round(sorted(took)[len(took) // 2], 3), "max": round(max(took), 3)} if took else None,
        }
        result["rss_mb"][phase] = round(server.rss_mb(), 1)
        print(f"{phase}: {result['phases'][phase]}", file=sys.stderr)
    want = {d: offline(options.binary, m, texts) for d, m in digests.items()}
    good = [a for a in load.answers if a[1] == 200]
    crossed = dict(zip(want, reversed(list(want.values()))))
    still = result["phases"]["still"]["p99_ms"]
    result.update(capacity=round(capacity), rate=round(rate), failed=dict(load.failed),
                  not_200=sum(a[1] != 200 for a in load.answers), answers=len(load.answers),
                  by_model={str(digests[d].name): sum(a[2] == d for a in load.answers) for d in want},
                  mixed_up=wrong(good, want), control_mixed_up=wrong(good, crossed),
                  # a machine that others use may fall below the rate: 429 and 504 are told apart
                  p99_ratio=round(result["phases"]["swaps"]["p99_ms"] / still, 2), damage=dict(kinds))
    admin.close()
    for connection in load.idle:
        connection.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--binary", default=str(ROOT / "build" / "inferd"))
    parser.add_argument("--model", default=str(ROOT / "models" / "sst2-minilm-l6"))
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--load", type=float, default=0.7)
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
        exchange_labels(where / "two")
        for name in ("one", "two"):
            subprocess.run([options.binary, "inspect", str(where / name), "--write-manifest"], check=True,
                           stdout=subprocess.DEVNULL)
        (where / "keys").write_text(KEY + "\n", encoding="ascii")
        server = Server(options, where / "keys", where / "one", where / "log")
        try:
            result = asyncio.run(measure(options, where, server, texts))
        finally:
            server.process.terminate()
            code = server.process.wait(60)
        print(json.dumps(result, indent=1))
        if options.json:
            Path(options.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        good = (code == 0 and not result["failed"] and result["not_200"] == 0 and result["mixed_up"] == 0
                and result["control_mixed_up"] == result["answers"] - result["not_200"]
                and result["phases"]["swaps"]["orders"] == {200: options.swaps}
                and result["phases"]["bad"]["orders"] == {422: options.swaps})
        print("swap: nothing failed, nothing mixed up, every bad model refused" if good else "swap: NOT as it must be",
              file=sys.stderr)
        raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
