# SPDX-License-Identifier: Apache-2.0
"""A server whose model is slow: what is answered while it loads and while it is busy."""

import socket
import struct
import tempfile
import time
import unittest
from pathlib import Path

import zero_model
from harness import MODEL, Reader, Server, ServerCase, get, post


class Loading(unittest.TestCase):
    # a sanitizer's build loads the first for seconds; a fast one may need the last to be caught at it
    SIZES = ((256, 1024, 4), (768, 3072, 12), (1024, 4096, 24))

    def test_not_ready_until_the_model_is(self):
        for hidden, ffn, layers in self.SIZES:
            with tempfile.TemporaryDirectory() as where:
                model = zero_model.make(Path(where) / "large", MODEL, hidden, ffn, layers)
                if self.caught_loading(model):
                    return
        self.fail("the server was ready before a client could ask; make SIZES larger")

    def caught_loading(self, model: str) -> bool:
        server = Server(model=model, wait_ready=False)
        self.addCleanup(server.close)
        s = server.connect()
        r = Reader(s)
        s.sendall(get("/livez") + get("/readyz") + post({"text": "a"}) + get("/info"))
        live, ready, infer, info = (r.answer() for _ in range(4))
        self.assertEqual(live.status, 200)
        caught = ready.status == 503 and infer.status == 503 and info.json["model"] is None
        if caught:
            self.assertIn(ready.json["status"], ("loading", "warming"))
            self.assertEqual(infer.json["error"]["type"], "loading")
            self.assertIn("retry-after", infer.headers)
            self.assertFalse(infer.closes)
        server.wait_for("ready")
        s.sendall(get("/readyz") + post({"text": "a"}))  # the same connection
        self.assertEqual(r.answer().status, 200)
        self.assertEqual(r.answer().json[0]["confidence"], 0.5)
        self.assertEqual(server.stop(), 0)
        if caught:  # a signal while it is loading is answered too
            other = Server(model=model, wait_ready=False)
            self.addCleanup(other.close)
            self.assertEqual(other.stop(), 0)
        return caught


class Busy(ServerCase):
    """One compute thread and batches that take long."""

    OPTIONS = ("--threads", "1", "--request-timeout", "0.4", "--max-queue", "128", "--drain-timeout", "60")
    LARGE = post({"inputs": ["word " * 100] * 100})

    @classmethod
    def setUpClass(cls) -> None:
        cls.where = tempfile.TemporaryDirectory()
        # LARGE shall take some 3 s on this machine and in this build: time one layer
        layer_s = cls.time_of(cls.make(1))
        cls.server = Server(*cls.OPTIONS, model=cls.make(max(1, min(60, round(3.0 / layer_s)))))

    @classmethod
    def make(cls, layers: int) -> str:
        return zero_model.make(tempfile.mkdtemp(dir=cls.where.name) + "/slow", MODEL, 192, 768, layers)

    @classmethod
    def time_of(cls, model: str) -> float:
        probe = Server("--threads", "1", "--request-timeout", "3600", model=model)
        try:
            s = probe.connect()
            r = Reader(s)
            best = float("inf")
            for _ in range(3):  # the least: a neighbour's burst must not pass for a slow machine
                began = time.monotonic()
                s.sendall(cls.LARGE)
                status = r.answer().status
                assert status == 200, status
                best = min(best, time.monotonic() - began)
            return best
        finally:
            probe.close()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        cls.where.cleanup()

    def counts(self) -> dict:
        return self.ask(get("/info")).json["counts"]

    def idle(self) -> None:
        """Until the queue is empty and a text is answered in time."""
        end = time.monotonic() + 60
        while self.ask(post({"text": "a"})).status != 200:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.2)

    def test_deadline(self):
        self.idle()
        a, ra = self.connect()
        a.sendall(self.LARGE)
        time.sleep(0.1)
        s, r = self.connect()
        began = time.monotonic()
        s.sendall(post({"text": "waits behind it"}) + get("/livez"))
        self.assert_error(r.answer(), 504, "deadline_exceeded", "--request-timeout")
        self.assertTrue(0.35 < time.monotonic() - began < 20)
        self.assertEqual(r.answer().status, 200)  # the connection goes on, in order
        self.assert_error(ra.answer(), 504, "deadline_exceeded")
        self.idle()
        self.assert_usable(a, ra)

    def test_overload_is_all_or_nothing(self):
        self.idle()
        a, ra = self.connect()
        a.sendall(self.LARGE)
        time.sleep(0.1)
        before = self.counts()
        b, rb = self.connect()
        b.sendall(post({"inputs": ["word " * 100] * 90}))
        c, rc = self.connect()
        c.sendall(post({"inputs": ["word " * 100] * 90}))
        answer = rc.answer()
        self.assert_error(answer, 429, "overloaded", "--max-queue 128")
        self.assertIn("retry-after", answer.headers)
        self.assertFalse(answer.closes)
        after = self.counts()
        self.assertEqual(after["refused"] - before["refused"], 1)
        self.assertLessEqual(after["queued_inputs"], 128)
        self.assertEqual({ra.answer().status, rb.answer().status}, {504})
        self.idle()

    def test_a_client_that_goes_away_is_not_computed_for(self):
        self.idle()
        a, _ = self.connect()
        a.sendall(self.LARGE)
        time.sleep(0.1)
        before = self.counts()
        for _ in range(5):
            s = self.server.connect()
            s.sendall(post({"inputs": ["gone"] * 3}))
            time.sleep(0.02)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self.idle()
        self.assertGreaterEqual(self.counts()["cancelled"] + self.counts()["expired"]
                                - before["cancelled"] - before["expired"], 5)

    def test_pages_are_answered_while_all_threads_compute(self):
        self.idle()
        a, _ = self.connect()
        a.sendall(self.LARGE)
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            self.assertEqual(self.ask(get("/healthz")).status, 200)
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, 1.0)


if __name__ == "__main__":
    unittest.main()
