# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic that keeps its own books, to be compared with the server's (docs/metrics.md).

Each client works in bursts: a connection, some requests sent at once, their answers read in order,
then perhaps an end that costs the connection: a malformed head, a request that breaks off, a reset.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter

import prometheus
from harness import get, post

OK = post({"inputs": ["a good film", "not a good film"]})
# what the connection survives: request, weight
STAY = [
    (OK, 40), (post({"text": "w " * 60}), 5), (post({"inputs": ["word " * 40] * 100}), 3), (get("/healthz"), 8),
    (get("/livez", method="HEAD"), 2), (get("/readyz"), 2), (get("/info"), 1), (post("[1"), 8), (post('{"inputs":[]}'), 4),
    (get("/none"), 6), (get("/infer"), 4), (post("{}", path="/healthz"), 2), (post("{}", content_type="text/plain"), 3),
    (post({"inputs": ["a"] * 129}), 1), (get("/", method="BREW"), 2),
    (b"POST /infer HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\r\n", 1),
]
REQUESTS, WEIGHTS = [r for r, _ in STAY], [w for _, w in STAY]
HEADS = frozenset(r for r in REQUESTS if r.startswith(b"HEAD "))
# what it does not: name, weight
ENDS = [("none", 40), ("malformed", 8), ("too_large", 3), ("half_head", 6), ("half_body", 6), ("reset_head", 6),
        ("reset_body", 6), ("vanish", 6), ("empty_line", 2), ("silent", 2)]
END_NAMES, END_WEIGHTS = [n for n, _ in ENDS], [w for _, w in ENDS]
LAST = {"malformed": b"GET / HTTP/1.1\r\nHost : t\r\n\r\n",
        "too_large": b"POST /infer HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n",
        "half_head": OK[:40], "half_body": OK[:-5]}


def outcome_of(status: int) -> str:
    return {200: "ok", 429: "shed", 503: "shed", 504: "deadline"}.get(status, "client_error")


class Books(Counter):
    """sent; each outcome that an answer told; `reset`: surely without an answer; `either`: vanished, and
    the answer may have been written before that was seen. status_N beside them."""

    def answered(self, status: int) -> None:
        self[outcome_of(status)] += 1
        self[f"status_{status}"] += 1


async def answer(reader: asyncio.StreamReader, head_only: bool) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    at = head.index(b"Content-Length: ") + 16
    if not head_only:
        await reader.readexactly(int(head[at:head.index(b"\r", at)]))
    return int(head[9:12])


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def burst(port: int, dice: random.Random, most: int, vanish: bool, books: Books) -> int:
    """One connection; returns how many requests it sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        requests = dice.choices(REQUESTS, WEIGHTS, k=dice.randint(1, max(1, min(40, most - 1))))
        writer.write(b"".join(requests))
        books["sent"] += len(requests)
        for r in requests:
            books.answered(await answer(reader, r in HEADS))
        end = dice.choices(END_NAMES, END_WEIGHTS)[0] if len(requests) < most else "none"
        if end in ("none", "silent", "empty_line") or (end == "vanish" and not vanish):
            if end == "empty_line":
                writer.write(b"\r\n")
                await writer.drain()
            return len(requests)
        books["sent"] += 1
        books[f"end_{end}"] += 1
        if end in LAST:
            writer.write(LAST[end])
            if end.startswith("half"):
                writer.write_eof()
            books.answered(await answer(reader, False))
            if await reader.read() != b"":
                raise AssertionError("bytes after the last answer")
        else:
            writer.write({"reset_head": OK[:dice.randint(1, 60)], "reset_body": OK[:-dice.randint(1, 30)],
                          "vanish": OK}[end])
            await writer.drain()
            if dice.random() < 0.3:
                await asyncio.sleep(0.002)
            reset(writer)
            books["either" if end == "vanish" else "reset"] += 1
        return len(requests) + 1
    finally:
        writer.close()


async def one_client(port: int, count: int, seed: int, vanish: bool, books: Books) -> None:
    dice = random.Random(seed)
    while count > 0:
        count -= await burst(port, dice, count, vanish, books)


def run(port: int, requests: int, clients: int, seed: int, vanish: bool) -> Books:
    """`requests` requests by `clients` clients at a time; with `vanish` some leave a whole request behind."""
    books = Books()

    async def all_clients() -> None:
        share = [requests // clients + (i < requests % clients) for i in range(clients)]
        await asyncio.gather(*(one_client(port, n, seed * 1000 + i, vanish, books) for i, n in enumerate(share)))
    asyncio.run(all_clients())
    return books


def differences(books: Counter, before: dict, after: dict, scrapes: int) -> list[str]:
    """Where the server's books, from the scrape `before` to the scrape `after` (with `scrapes` of them
    after `before`), are not the client's: equal to the last request. Only how a request ended whose
    client vanished is the server's to know: those may be in any of four places, and are in one."""
    def grew(name: str, **labels: str) -> int:
        return int(prometheus.value(after, name, **labels) - prometheus.value(before, name, **labels))

    by = {o: grew("inferd_request_outcomes_total", outcome=o) for o in prometheus.OUTCOMES}
    mine = {"ok": books["ok"] + scrapes, "client_error": books["client_error"], "shed": books["shed"],
            "deadline": books["deadline"], "cancelled": books["reset"], "drained": 0, "fault": 0}
    unknown = ("ok", "shed", "deadline", "cancelled")
    found = [f"{o}: the server says {by[o]}, the client {mine[o]}" for o in prometheus.OUTCOMES
             if not mine[o] <= by[o] <= mine[o] + (books["either"] if o in unknown else 0)]
    for what, a, b in [("started", grew("inferd_requests_started_total"), books["sent"] + scrapes),
                       ("ended", sum(by.values()), sum(mine.values()) + books["either"])]:
        if a != b:
            found.append(f"{what}: the server says {a}, the client {b}")
    for key, count in books.items():
        if key.startswith("status_") and key not in ("status_200", "status_429", "status_504"):
            a = grew("inferd_requests_total", code=key[7:])
            if a != count:
                found.append(f"{key}: the server says {a}, the client {count}")
    return found
