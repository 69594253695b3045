# SPDX-License-Identifier: Apache-2.0
"""A server process of its own for each test class, and raw sockets to talk to it.

INFERD_BIN is the binary, INFERD_TEST_MODEL a model directory (the defaults suit a build in build/).
A server that exits by itself, prints a sanitizer's report, or does not stop cleanly fails the test.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = os.environ.get("INFERD_BIN", str(HERE.parents[2] / "build" / "inferd"))
MODEL = os.environ.get("INFERD_TEST_MODEL", str(HERE.parent / "model" / "golden" / "bert-f32"))
# A sanitizer's build is slow, and so is a machine that does other things: waits are generous.
PATIENCE_S = 60.0
REPORT = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|"
                    r"runtime error:|broken invariant")


class Server:
    """`inferd serve` on a port that the system picks."""

    def __init__(self, *options: str, model: str = MODEL, wait_ready: bool = True):
        self.log_file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [BIN, "serve", "--model", model, "--port", "0", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log_file)
        self.port = 0
        self.sockets: list[socket.socket] = []
        try:
            self.wait_for("ready" if wait_ready else "listening")
        except AssertionError:
            self.close()
            raise

    def log(self) -> str:
        self.log_file.seek(0)
        return self.log_file.read()

    def events(self, name: str) -> list[dict]:
        found = []
        for line in self.log().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == name:
                found.append(event)
        return found

    def wait_for(self, event: str) -> dict:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.events(event)
            if found:
                if "url" in found[0]:
                    self.port = int(found[0]["url"].rsplit(":", 1)[1])
                return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"no event {event!r}; the log says:\n{self.log()}")

    def connect(self, timeout: float = PATIENCE_S) -> socket.socket:
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets.append(s)
        return s

    def close(self) -> None:
        """Everything that this object holds; the process too, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for s in self.sockets:
            s.close()
        self.log_file.close()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM, unless it is gone already. The exit status."""
        if self.process.poll() is None:
            self.signal()
        return self.finish()

    def finish(self) -> int:
        """Wait for the end of a server that was told to stop, or that fails. The exit status."""
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop; the log says:\n{self.log()}") from None
        log = self.log()
        if REPORT.search(log):
            raise AssertionError(f"the server reports a fault:\n{log}")
        return code

    def memory_kib(self) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"

    def __repr__(self) -> str:
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


class Reader:
    """Answers out of a socket, one after the other, by Content-Length or in chunks, and nothing else."""

    def __init__(self, sock: socket.socket):
        self.sock, self.buffer = sock, b""

    def _fill(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the connection ended; {self.buffer[:200]!r} was left")
        self.buffer += data

    def answer(self, head_only: bool = False) -> Answer:
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _reason = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value.strip()
        if int(status) == 100:
            return Answer(100, headers, b"")
        if head_only:
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self._take(int(headers["content-length"]))
        return Answer(int(status), headers, body)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._fill()
        part, _, self.buffer = self.buffer.partition(mark)
        return part

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._fill()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def _chunk(self) -> bytes:
        """The next one; the last is empty."""
        data = self._take(int(self._until(b"\r\n"), 16))
        assert self._take(2) == b"\r\n"
        return data

    def at_end(self) -> bool:
        """The server has closed in good order: nothing more, and no reset."""
        try:
            return self.buffer == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return False


class Pump:
    """A connection whose reads write what is left of `data`, in pieces of 1 to `most` bytes (more if it is long). One
    thread does both: two that share one of ssl's sockets corrupt OpenSSL's state."""

    BUSY = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)

    def __init__(self, sock: socket.socket, data: bytes, rng: random.Random, most: int):
        self.sock, self.data, self.rng = sock, memoryview(data), rng
        self.at = self.end = 0  # of the piece that is being written
        self.most = max(most, len(data) // 500)
        sock.setblocking(False)

    def _write(self) -> None:
        if self.at == self.end:
            self.end += self.rng.randrange(1, self.most + 1)
        try:
            self.at += self.sock.send(self.data[self.at:self.end])
        except self.BUSY:
            pass

    def _left(self) -> int:
        return len(self.data) - self.at

    def recv(self, size: int) -> bytes:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self._left():
                self._write()
            try:
                return self.sock.recv(size)
            except self.BUSY:
                pass
            select.select([self.sock], [self.sock] if self._left() else [], [], 1)
        raise TimeoutError(f"nothing came; {self._left()} bytes are not sent")


def post(body: bytes | str | dict | list, headers: str = "", path: str = "/infer",
         content_type: str | None = "application/json") -> bytes:
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    kind = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\n{kind}{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def get(path: str, headers: str = "", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode()


class ServerCase(unittest.TestCase):
    """Tests that share one server with OPTIONS."""

    OPTIONS: tuple[str, ...] = ()
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(*cls.OPTIONS)

    @classmethod
    def tearDownClass(cls) -> None:
        try:
            code = cls.server.stop()
            assert code == 0, f"exit status {code}:\n{cls.server.log()}"
        finally:
            cls.server.close()

    def tearDown(self) -> None:
        for s in self.server.sockets:
            s.close()
        self.server.sockets.clear()

    def connect(self) -> tuple[socket.socket, Reader]:
        s = self.server.connect()
        return s, Reader(s)

    def ask(self, request: bytes) -> Answer:
        s, r = self.connect()
        s.sendall(request)
        return r.answer(head_only=request.startswith(b"HEAD "))

    def assert_error(self, answer: Answer, status: int, kind: str, part: str = "") -> None:
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        error = answer.json["error"]
        self.assertEqual(list(answer.json), ["error"])
        self.assertEqual(set(error), {"code", "type", "message", "request_id"})
        self.assertEqual(error["code"], status)
        self.assertEqual(error["type"], kind)
        self.assertEqual(error["request_id"], answer.headers["x-request-id"])
        self.assertIn(part, error["message"])

    def assert_usable(self, s: socket.socket, r: Reader) -> None:
        """The connection still answers."""
        s.sendall(post({"text": "still there"}))
        answer = r.answer()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(len(answer.json), 1)
