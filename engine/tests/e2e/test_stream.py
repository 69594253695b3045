# SPDX-License-Identifier: Apache-2.0
"""POST /infer/stream: lines in, lines out, in order, while the body is still coming; errors of lines;
back-pressure both ways; clients that go."""

import json
import os
import select
import socket
import struct
import threading
import time

import unittest

from harness import PATIENCE_S, Reader, Server, ServerCase, get, post

HEAD = (b"POST /infer/stream HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-ndjson\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Lines(Reader):
    """The chunked answer, line by line."""

    def __init__(self, sock):
        super().__init__(sock)
        self.body, self.headers, self.ended = b"", None, False

    def line(self):
        """None at the end of the answer."""
        if self.headers is None:
            self.headers = self._until(b"\r\n\r\n").decode()
        while b"\n" not in self.body and not self.ended:
            data = self._chunk()
            self.body += data
            self.ended = not data
        if self.ended and not self.body:
            return None
        line, _, self.body = self.body.partition(b"\n")
        return json.loads(line)

    def rest(self):
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        return lines


class Stream(ServerCase):
    OPTIONS = ("--max-body-bytes", "4096", "--max-inputs", "8")

    def send(self, body, size=None):
        """The body in chunks of `size` bytes."""
        s = self.server.connect()
        size = size or max(len(body), 1)
        s.sendall(HEAD + b"".join(chunk(body[i:i + size]) for i in range(0, len(body), size)) + b"0\r\n\r\n")
        return s, Lines(s)

    def test_lines_are_what_infer_answers(self):
        bodies = [{"text": "a good film"}, {"inputs": ["a", "b c"]}, {"text": "x", "parameters": {"top_k": 0}}]
        want = [self.ask(post(b)).json for b in bodies] + [self.ask(post({"text": "bare \u00e9"})).json]
        body = "".join(json.dumps(b) + "\n" for b in bodies) + '  "bare \u00e9"\r\n\n'
        for size in (None, 1, 7):
            s, lines = self.send(body.encode(), size)
            got = lines.rest()
            self.assertIn("application/x-ndjson", lines.headers)
            self.assertEqual([g["index"] for g in got], [0, 1, 2, 3])
            self.assertEqual([g["results"] for g in got], want)
            s.sendall(get("/livez"))  # the connection goes on
            self.assertEqual(Reader(s).answer().status, 200)

    def test_a_last_line_needs_no_end(self):
        for body, count in ((b'"a"', 1), (b'"a"\n"b"', 2), (b"", 0), (b"\n\r\n", 0)):
            self.assertEqual(len(self.send(body)[1].rest()), count, body)

    def test_a_bad_line_stops_nothing(self):
        bad = [(b"[", "invalid_json"), (b"{}", "invalid_request"), (b'""', "invalid_request"), (b'"\xff"', "invalid_utf8"),
               (b"7", "invalid_request"), (b'"a" "b"', "invalid_json"), (b'{"inputs":' + b'["a","a","a","a","a","a","a","a","a"]' + b"}",
                                                                   "too_many_inputs"),
               (b'{"text":"' + b"w " * 300 + b'","parameters":{"truncation":"none"}}', "text_too_long"),
               (b'"' + b"a" * 4095 + b'"', "body_too_large"), (b'"' + b"a" * 200000 + b'"', "body_too_large")]
        body = b"".join(b'"good"\n' + line + b"\n" for line, _ in bad) + b'"' + b"a" * 4094 + b'"\n'
        for size in (None, 1000):
            got = self.send(body, size)[1].rest()
            self.assertEqual([g["index"] for g in got], list(range(2 * len(bad) + 1)))
            self.assertTrue(all("results" in g for g in got[::2]), got)
            self.assertEqual([g["error"]["type"] for g in got[1::2]], [kind for _, kind in bad])
            self.assertEqual(set(got[1]["error"]), {"code", "type", "message"})

    def test_answers_come_while_the_body_is_open(self):
        s = self.server.connect()
        lines = Lines(s)
        s.sendall(HEAD)
        for i in range(5):
            s.sendall(chunk(b'"text %d"\n' % i))
            self.assertEqual(lines.line()["index"], i)  # before the next line is sent
        s.sendall(b"0\r\n\r\n")
        self.assertIsNone(lines.line())

    def test_many_lines_in_order(self):
        count = 300 if os.environ.get("IFD_TEST_EMULATED") else 1500
        texts = [f"text number {i} " + "word " * (i % 60) for i in range(count)]
        want = {t: None for t in texts[:60]}
        for t in want:
            want[t] = self.ask(post({"text": t})).json
        s = self.server.connect()
        lines, got = Lines(s), []

        def write():
            s.sendall(HEAD)
            for i in range(0, len(texts), 50):
                s.sendall(chunk("".join(json.dumps(t) + "\n" for t in texts[i:i + 50]).encode()))
            s.sendall(b"0\r\n\r\n")
        writer = threading.Thread(target=write)
        writer.start()
        got = lines.rest()
        writer.join()
        self.assertEqual([g["index"] for g in got], list(range(len(texts))))
        self.assertEqual([g for g in got if "results" not in g], [])
        self.assertEqual([got[i]["results"] for i in range(60)], [want[t] for t in texts[:60]])

    def test_back_pressure(self):
        """A client that writes and does not read is not read any more, and the server's memory stays."""
        s = self.server.connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.setblocking(False)
        before, sent = self.server.memory_kib(), 0
        data = HEAD + chunk(b'{}\n' * 1000)
        piece = chunk(b'{}\n' * 1000)
        end = time.monotonic() + PATIENCE_S
        stuck = False
        while time.monotonic() < end and not stuck:
            if not select.select([], [s], [], 3)[1]:
                stuck = True
                break
            n = s.send(data)
            sent += n
            data = data[n:] or piece
        self.assertTrue(stuck, f"{sent} bytes were taken")
        self.assertLess(self.server.memory_kib() - before, 32 << 10)
        self.assertEqual(self.ask(get("/livez")).status, 200)
        s.setblocking(True)  # and then it reads: everything goes on
        lines = Lines(s)
        for i in range(2000):
            self.assertEqual(lines.line()["index"], i)
        s.close()

    def test_lines_longer_than_a_read(self):
        server = Server("--max-inputs", "1024")
        self.addCleanup(server.close)
        for count in (120, 1024):  # some 70 KB, 620 KB
            line = json.dumps({"inputs": ["word " * 120] * count}).encode() + b"\n"
            for size in (8000, 100000, 1 << 20):
                s = server.connect()
                s.sendall(HEAD)
                body = line + b'"a"\n' + line
                for i in range(0, len(body), size):
                    s.sendall(chunk(body[i:i + size]))
                s.sendall(b"0\r\n\r\n")
                got = Lines(s).rest()
                self.assertEqual([len(g["results"]) for g in got], [count, 1, count])
        self.assertEqual(server.stop(), 0)

    def test_clients_that_go(self):
        for linger in (False, True):
            s = self.server.connect()
            s.sendall(HEAD + chunk(b'"text"\n' * 500))
            if linger:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        s = self.server.connect()  # an end in the middle of the body: no last chunk, and a close
        s.sendall(HEAD + chunk(b'"a"\n"b'))
        s.shutdown(socket.SHUT_WR)
        lines = Lines(s)
        try:
            self.assertEqual(lines.line()["index"], 0)
        except EOFError:
            pass
        with self.assertRaises((EOFError, ConnectionResetError)):
            lines.rest()
        self.assertEqual(self.ask(post({"text": "a"})).status, 200)

    def test_a_length_and_more_lines_than_are_computed_at_once(self):
        body = b'"a film"\n' * 400  # the body's end needs no byte of its own
        for _ in range(3):
            self.assertEqual(len(self.ask_lines(post(body, path="/infer/stream", content_type="application/jsonl"))), 400)
        errors = self.ask_lines(post(b"{}\n" * 1300, path="/infer/stream", content_type="application/jsonl"))
        self.assertEqual([e["index"] for e in errors], list(range(1300)))

    def test_refusals(self):
        for request, status in ((post('"a"', path="/infer/stream"), 415), (get("/infer/stream"), 405),
                                (post("x" * 4097, path="/infer/stream", content_type="application/x-ndjson"), 413)):
            self.assertEqual(self.ask(request).status, status)
        whole = self.ask_lines(post('"a"\n"b"\n', path="/infer/stream", content_type="application/jsonl"))
        self.assertEqual(len(whole), 2)
        old = HEAD.replace(b"Transfer-Encoding: chunked", b"Content-Length: 3").replace(b"1.1", b"1.0") + b'"a"'
        self.assertEqual(self.ask(old).status, 505)

    def ask_lines(self, request):
        s = self.server.connect()
        s.sendall(request)
        return Lines(s).rest()


LONG = json.dumps({"inputs": ["word " * 120] * 8}).encode() + b"\n"


class FullQueue(ServerCase):
    """A queue that holds fewer texts than a stream has lines under way."""

    OPTIONS = ("--max-queue", "8", "--max-inputs", "8")

    def refused(self):
        return self.ask(get("/info")).json["counts"]["refused"]

    def lines(self, body):
        s = self.server.connect()
        s.sendall(HEAD + chunk(body) + b"0\r\n\r\n")
        return Lines(s).rest()

    def test_a_streams_lines_wait_for_each_other(self):
        before = self.refused()
        for body, count in ((b'"a film"\n' * 400, 400), (LONG * 10, 10), ((b'"a"\n' * 30 + LONG) * 5, 155)):
            got = self.lines(body)
            self.assertEqual([g["index"] for g in got], list(range(count)))
            self.assertEqual([g for g in got if "results" not in g], [])
        self.assertEqual(self.refused(), before)
        answers = self.burst(40)  # control: the same lines by themselves do not fit
        self.assertIn(429, answers)
        self.assertGreater(self.refused(), before)

    def burst(self, count):
        """Requests of eight long texts, all at once."""
        sockets = [self.server.connect() for _ in range(count)]
        for s in sockets:
            s.sendall(post(LONG))
        return [Reader(s).answer().status for s in sockets]

    def test_clients_that_go_while_a_line_waits(self):
        for linger in (False, True) * 10:
            s = self.server.connect()
            s.sendall(HEAD + chunk(LONG * 30))
            if linger:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self.assertEqual(len(self.lines(LONG * 3)), 3)

    def test_lines_wait_for_others_too(self):
        over = threading.Event()

        def others():
            while not over.is_set():
                self.burst(4)
        thread = threading.Thread(target=others)
        thread.start()
        try:
            got = self.lines(b'"a film"\n' * 60)
        finally:
            over.set()
            thread.join()
        self.assertEqual([g for g in got if "results" not in g], [])
        self.assertEqual(len(got), 60)


def finishes_in_a_drain(case, server, s):
    """A stream that is open on `s` when its server is told to stop goes on to its end."""
    lines = Lines(s)
    s.sendall(HEAD + chunk(b'"a"\n'))
    case.assertEqual(lines.line()["index"], 0)
    server.signal()
    server.wait_for("draining")
    s.sendall(chunk(b'"b"\n') + b"0\r\n\r\n")
    case.assertEqual([line["index"] for line in lines.rest()], [1])
    case.assertEqual(server.finish(), 0)


class Ends(unittest.TestCase):
    def test_a_drain_finishes_a_stream(self):
        server = Server()
        self.addCleanup(server.close)
        s = server.connect()
        finishes_in_a_drain(self, server, s)

    def test_a_line_that_cannot_be_in_time_is_refused(self):
        server = Server("--max-inputs", "1024")
        self.addCleanup(server.close)
        s = server.connect()
        large = json.dumps({"inputs": ["word " * 120] * 1024})
        s.sendall(post(large))
        self.assertEqual(Reader(s).answer().status, 200)  # the rate is known
        s.sendall(HEAD.replace(b"\r\n\r\n", b"\r\nX-Request-Timeout-Ms: 5\r\n\r\n") +
                  chunk((large + "\n").encode() * 3) + b"0\r\n\r\n")
        got = Lines(s).rest()
        self.assertEqual([g["index"] for g in got], [0, 1, 2])
        for g in got:
            self.assertEqual(g["error"]["type"], "overloaded")
            self.assertIn("more than the 5 ms that the request allows", g["error"]["message"])
        s.sendall(get("/info"))
        self.assertEqual(Reader(s).answer().json["counts"]["refused"], 3)  # however often they were tried
        self.assertEqual(server.stop(), 0)

    def test_a_stream_that_says_nothing_is_cut(self):
        server = Server("--body-timeout", "1500ms")
        self.addCleanup(server.close)
        s = server.connect()
        s.sendall(HEAD)
        lines = Lines(s)
        for i in range(6):  # longer than the time-out, but there is progress
            s.sendall(chunk(b'"a"\n'))
            self.assertEqual(lines.line()["index"], i)
            time.sleep(0.4)
        with self.assertRaises((EOFError, ConnectionResetError)):
            lines.rest()
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
