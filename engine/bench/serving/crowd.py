# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections that cost a client nothing, held by a process of their own.

  idle   keep-alive after one answered request
  head   a head of which a byte arrives now and then
  body   a body that does the same

What the server ends is opened again a moment later, so their number stays. Sources are spread over
127.0.0.2 and up: one address has too few ports for all that are closed and opened.
"""

from __future__ import annotations

import heapq
import multiprocessing
import random
import resource
import selectors
import socket
import time

import serving

KINDS = ("idle", "head", "body")
COUNTS = ("opened", "refused", "ended", "ended_after_408")
SOURCES = 8
OPENS_PER_S = 2000  # the crowd shall not be a flood of connections
IP_BIND_ADDRESS_NO_PORT = 24  # connect chooses the port, which then may be in use for another address
WHOLE = b"GET /livez HTTP/1.1\r\nHost: crowd\r\n\r\n"
HEAD = b"GET /livez HTTP/1.1\r\nHost: crowd\r\nX-Slow: " + b"x" * 4000
BODY_HEAD = b"POST /infer HTTP/1.1\r\nHost: crowd\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
BODY = b'{"inputs":["' + b"x" * 3900


class Member:
    def __init__(self, kind: str):
        self.kind, self.sock, self.sent, self.answer, self.leaves = kind, None, 0, b"", False
        self.order = 0  # of the one entry in `due` that counts


class Crowd:
    """In the crowd's process."""

    def __init__(self, port: int, interval_s: float, counts):
        self.port, self.interval_s, self.counts = port, interval_s, counts
        self.selector = selectors.DefaultSelector()
        self.members: dict[str, list[Member]] = {k: [] for k in KINDS}
        self.due: list[tuple[float, int, Member]] = []  # when a member is to be opened or to send
        self.order, self.source = 0, 0
        self.draw = random.Random(4)

    def later(self, m: Member, seconds: float) -> None:
        self.order += 1
        m.order = self.order
        heapq.heappush(self.due, (time.monotonic() + seconds, self.order, m))

    def count(self, name: str) -> None:
        self.counts[COUNTS.index(name)] += 1

    def open(self, m: Member) -> None:
        s = socket.socket()
        s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        s.settimeout(5)
        try:
            s.bind((f"127.0.0.{2 + self.source % SOURCES}", 0))
            self.source += 1
            s.connect(("127.0.0.1", self.port))
            if m.kind == "idle":
                s.sendall(WHOLE)
                if not s.recv(4096).startswith(b"HTTP/1.1 200"):
                    raise OSError("no 200")
            elif m.kind == "body":
                s.sendall(BODY_HEAD)
        except OSError:
            self.count("refused")
            s.close()
            self.later(m, 1.0)
            return
        s.setblocking(False)
        m.sock, m.sent, m.answer = s, 0, b""
        self.selector.register(s, selectors.EVENT_READ, m)
        self.count("opened")
        if m.kind != "idle":
            self.later(m, self.interval_s * self.draw.random())

    def close(self, m: Member) -> None:
        if m.sock:
            self.selector.unregister(m.sock)
            m.sock.close()
            m.sock = None

    def ended(self, m: Member) -> None:
        self.count("ended_after_408" if m.answer.startswith(b"HTTP/1.1 408") else "ended")
        self.close(m)
        self.later(m, 0.2)

    def act(self, m: Member) -> None:
        if m.leaves:
            return
        if m.sock is None:
            self.open(m)
            return
        source = HEAD if m.kind == "head" else BODY
        try:
            m.sock.send(source[m.sent:m.sent + 1])
            m.sent = min(m.sent + 1, len(source) - 1)
        except OSError:
            self.ended(m)
            return
        self.later(m, self.interval_s)

    def read(self, m: Member) -> None:
        try:
            data = m.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        m.answer += data
        if not data:
            self.ended(m)

    def resize(self, kind: str, n: int) -> None:
        members = self.members[kind]
        while len(members) > n:
            m = members.pop()
            m.leaves = True
            self.close(m)
        for i in range(n - len(members)):
            m = Member(kind)
            members.append(m)
            self.later(m, i / OPENS_PER_S)

    def turn(self) -> None:
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            _, order, member = heapq.heappop(self.due)
            if order == member.order:
                self.act(member)
        wait = min(0.05, max(0.0, self.due[0][0] - now)) if self.due else 0.05
        for key, _ in self.selector.select(wait):
            if key.data.sock is key.fileobj:
                self.read(key.data)

    def connected(self, kind: str) -> int:
        return sum(m.sock is not None for m in self.members[kind])


def _live(port: int, interval_s: float, want, have, counts, parent: int) -> None:
    import os
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(port, interval_s, counts)
    said = time.monotonic()
    while os.getppid() == parent:
        for i, kind in enumerate(KINDS):
            if len(crowd.members[kind]) != want[i]:
                crowd.resize(kind, want[i])
        crowd.turn()
        if time.monotonic() > said + 0.2:
            said = time.monotonic()
            for i, kind in enumerate(KINDS):
                have[i] = crowd.connected(kind)


class CrowdProcess:
    """The handle in the script. `with CrowdProcess(port) as c: c.be(idle=1000)`. A slow member sends a
    byte every interval_s."""

    def __init__(self, port: int, interval_s: float = 10.0):
        import os
        self.want = multiprocessing.Array("q", len(KINDS), lock=False)
        self.have_now = multiprocessing.Array("q", len(KINDS), lock=False)
        self.counts_now = multiprocessing.Array("q", len(COUNTS), lock=False)
        self.process = multiprocessing.Process(
            target=_live, args=(port, interval_s, self.want, self.have_now, self.counts_now, os.getpid()), daemon=True)
        self.process.start()

    def set(self, **numbers: int) -> None:
        for kind, n in numbers.items():
            self.want[KINDS.index(kind)] = n

    def be(self, **numbers: int) -> None:
        """And wait until they are connected."""
        self.set(**numbers)
        end = time.monotonic() + serving.PATIENCE_S
        while any(self.have()[k] < 0.98 * n or self.have()[k] > n for k, n in numbers.items()):
            if time.monotonic() > end or not self.process.is_alive():
                raise serving.Failed(f"the crowd has {self.have()}, wanted {numbers}: {self.counts()}; "
                                     "is the limit of open files (ulimit -Hn) high enough?")
            time.sleep(0.05)

    def have(self) -> dict[str, int]:
        return dict(zip(KINDS, self.have_now))

    def counts(self) -> dict[str, int]:
        return dict(zip(COUNTS, self.counts_now))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()
