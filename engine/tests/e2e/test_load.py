# SPDX-License-Identifier: Apache-2.0
"""A server whose model is slow: what is answered while it loads and while it is busy."""

import select
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
    """One compute thread and a request, LARGE, that takes long."""

    SLOW = ("--threads", "1", "--dtype", "fp32", "--tier", "ref")  # the same on every machine
    OPTIONS = (*SLOW, "--request-timeout", "60", "--max-queue", "128", "--max-queue-wait", "0",
               "--drain-timeout", "60")
    LARGE = {"inputs": ["word " * 100] * 100}
    BULK = {"inputs": ["word " * 100] * 8}  # waits behind it

    @classmethod
    def setUpClass(cls) -> None:
        cls.where = tempfile.TemporaryDirectory()
        # LARGE shall take some 3 s on this machine and in this build: time one layer
        layer_s = cls.time_of(cls.make(1))
        cls.model = cls.make(max(1, min(60, round(3.0 / layer_s))))
        cls.server = Server(*cls.OPTIONS, model=cls.model)

    @classmethod
    def make(cls, layers: int) -> str:
        return zero_model.make(tempfile.mkdtemp(dir=cls.where.name) + "/slow", MODEL, 96, 384, layers)

    @classmethod
    def time_of(cls, model: str) -> float:
        probe = Server(*cls.SLOW, "--request-timeout", "3600", model=model)
        try:
            s = probe.connect()
            r = Reader(s)
            best = float("inf")
            for _ in range(3):  # the least: a neighbour's burst must not pass for a slow machine
                began = time.monotonic()
                s.sendall(post(cls.LARGE))
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
        """Until nothing waits and nothing is computed, and the rate is known."""
        self.assertEqual(self.ask(post(self.BULK)).status, 200)

    def send_large(self) -> tuple[socket.socket, Reader]:
        """It is being computed when this returns."""
        batches = self.counts()["batches"]
        s, r = self.connect()
        s.sendall(post(self.LARGE))
        end = time.monotonic() + 60
        while self.counts()["batches"] == batches:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)
        return s, r

    def assert_unanswered(self, s: socket.socket) -> None:
        self.assertEqual(select.select([s], [], [], 0)[0], [])

    def test_a_deadline_that_passes_after_admission(self):
        # a server that has computed nothing yet cannot know that it will not make it
        server = Server(*self.SLOW, "--request-timeout", "0.4", "--drain-timeout", "60", model=self.model)
        self.addCleanup(server.close)
        s = server.connect()
        r = Reader(s)
        began = time.monotonic()
        s.sendall(post(self.LARGE) + get("/livez"))
        self.assert_error(r.answer(), 504, "deadline_exceeded", "400 ms that --request-timeout allows")
        self.assertTrue(0.35 < time.monotonic() - began < 20)
        self.assertEqual(r.answer().status, 200)  # the connection goes on, in order
        self.assertEqual(server.stop(), 0)

    def test_a_deadline_that_cannot_be_met_is_refused_at_once(self):
        self.idle()
        header = "X-Request-Timeout-Ms: 150\r\n"
        for request in (post(self.LARGE, header), post(dict(self.LARGE, parameters={"timeout_ms": 150})),
                        post(dict(self.LARGE, parameters={"timeout_ms": 59000}), header)):
            began = time.monotonic()
            answer = self.ask(request)
            self.assertLess(time.monotonic() - began, 1.0)
            self.assert_error(answer, 429, "overloaded", "allow more time")
            self.assertFalse(answer.closes)
            self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        self.assertEqual(self.ask(post({"text": "a"}, "X-Request-Timeout-Ms: 59000\r\n")).status, 200)
        for value in ("0", "soon", "-1", "1.5", "86400001", ""):
            answer = self.ask(post({"text": "a"}, f"X-Request-Timeout-Ms: {value}\r\n"))
            self.assert_error(answer, 400, "invalid_request", "X-Request-Timeout-Ms")

    def test_retry_after_tells_how_long_the_queue_is(self):
        self.idle()
        a, ra = self.send_large()
        answer = self.ask(post(self.BULK, "X-Request-Timeout-Ms: 1500\r\n"))
        self.assert_error(answer, 429, "overloaded", "1500 ms that the request allows")
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 2)  # LARGE takes 3 s
        self.assertEqual(ra.answer().status, 200)

    def test_small_requests_do_not_wait_for_large_ones(self):
        self.idle()
        before = self.counts()
        a, ra = self.send_large()
        for _ in range(5):
            self.assertEqual(self.ask(post({"text": "small"})).status, 200)
        self.assert_unanswered(a)
        answer = ra.answer()
        self.assertEqual((answer.status, len(answer.json)), (200, 100))
        self.assertGreater(self.counts()["interruptions"], before["interruptions"])

    def test_large_requests_share(self):
        self.idle()
        a, ra = self.send_large()
        b, rb = self.connect()
        b.sendall(post(self.BULK))  # an eighth of it, and later
        self.assertEqual(rb.answer().status, 200)
        self.assert_unanswered(a)
        self.assertEqual(ra.answer().status, 200)

    def test_overload_is_all_or_nothing(self):
        self.idle()
        a, ra = self.send_large()
        before = self.counts()
        b, rb = self.connect()
        b.sendall(post({"inputs": ["word"] * 128}))
        answer = rb.answer()
        self.assert_error(answer, 429, "overloaded", "--max-queue 128")
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        self.assertFalse(answer.closes)
        after = self.counts()
        self.assertEqual(after["refused"] - before["refused"], 1)
        self.assertLessEqual(after["queued_inputs"], 128)
        self.assertEqual(ra.answer().status, 200)
        self.assert_usable(b, rb)

    def test_the_wait_is_bounded(self):
        server = Server(*self.SLOW, "--request-timeout", "60", "--max-queue-wait", "0.3", model=self.model)
        self.addCleanup(server.close)
        s, t = server.connect(), server.connect()
        r, rt = Reader(s), Reader(t)
        s.sendall(post(self.LARGE))
        self.assertEqual(r.answer().status, 200)  # the rate is known
        s.sendall(post(self.LARGE))
        time.sleep(0.2)
        t.sendall(post(self.BULK))
        self.assert_error(rt.answer(), 429, "overloaded", "--max-queue-wait 300 ms")
        self.assertEqual(r.answer().status, 200)
        self.assert_usable(t, rt)
        self.assertEqual(server.stop(), 0)

    def test_a_client_that_goes_away_is_not_computed_for(self):
        for reset in (True, False):  # a plain close looks like a client that only sends no more
            self.idle()
            before = self.counts()
            a, ra = self.send_large()
            for _ in range(3):
                s = self.server.connect()
                s.sendall(post(self.BULK))
                time.sleep(0.05)
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
            self.assertEqual(ra.answer().status, 200)
            self.idle()
            after = self.counts()
            computed = after["batched_inputs"] - before["batched_inputs"]
            dropped = after["dropped_inputs"] - before["dropped_inputs"]
            self.assertEqual(computed + dropped, 100 + 3 * 8 + 8)  # LARGE, three BULK, idle()
            self.assertGreaterEqual(dropped, 8)  # some may have had a turn before they left

    def test_a_client_that_only_sends_no_more_is_answered(self):
        self.idle()
        a, ra = self.send_large()
        s, r = self.connect()
        s.sendall(post(self.BULK))
        s.shutdown(socket.SHUT_WR)
        answer = r.answer()
        if answer.status == 100:  # asked whether it is still there
            answer = r.answer()
        self.assertEqual((answer.status, len(answer.json)), (200, 8))
        self.assertTrue(r.at_end())
        self.assertEqual(ra.answer().status, 200)

    def test_pages_are_answered_while_all_threads_compute(self):
        self.idle()
        self.send_large()
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            self.assertEqual(self.ask(get("/healthz")).status, 200)
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, 1.0)


if __name__ == "__main__":
    unittest.main()
