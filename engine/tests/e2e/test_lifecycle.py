# SPDX-License-Identifier: Apache-2.0
"""Start, drain and stop of a whole server process."""

import os
import random
import signal
import socket
import tempfile
import threading
import time
import unittest

from harness import Reader, Server, get, post


def counted(server: Server, path: str) -> int:
    s = server.connect()
    s.sendall(get(path))
    status = Reader(s).answer().status
    s.close()
    return status


class Client(threading.Thread):
    """Sends requests one after the other until the server says goodbye. Each ends in one of: ok,
    refused (a new connection was not taken), closed (sent into a closed idle connection), cut (an
    answer that began and did not end, or a reset), wrong."""

    def __init__(self, server: Server, body: bytes, want):
        super().__init__()
        self.server, self.body, self.want = server, body, want
        self.outcome = dict.fromkeys(("ok", "refused", "closed", "cut", "wrong"), 0)
        self.goodbye = False

    def run(self) -> None:
        while not self.goodbye:
            try:
                s = self.server.connect()
            except OSError:
                self.outcome["refused"] += 1
                return
            r = Reader(s)
            try:
                self.talk(s, r)
            finally:
                s.close()

    def talk(self, s: socket.socket, r: Reader) -> None:
        while True:
            try:
                s.sendall(self.body)
                answer = r.answer()
            except (OSError, EOFError):
                self.outcome["cut" if r.buffer else "closed"] += 1
                self.goodbye = True
                return
            self.outcome["ok" if answer.status == 200 and answer.json == self.want else "wrong"] += 1
            if answer.closes:
                self.goodbye = True
                return


class Lifecycle(unittest.TestCase):
    def start(self, *options: str, **kwargs) -> Server:
        server = Server(*options, **kwargs)
        self.addCleanup(server.close)
        return server

    def test_sigterm_and_sigint_stop_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            idle = server.connect()
            server.signal(number)
            self.assertEqual(server.finish(), 0)
            self.assertEqual(idle.recv(1), b"")
            self.assertEqual(server.events("stopped")[0]["dropped"], 0)
            with self.assertRaises(OSError):
                server.connect()

    def test_what_is_in_flight_is_answered(self):
        server = self.start()
        s = server.connect()
        r = Reader(s)
        request = post({"inputs": ["a text " * 30] * 100})
        s.sendall(request[:-10])
        time.sleep(0.2)
        server.signal()
        server.wait_for("draining")
        time.sleep(0.1)
        with self.assertRaises(OSError):
            server.connect()
        s.sendall(request[-10:])
        answer = r.answer()
        self.assertEqual((answer.status, len(answer.json), answer.closes), (200, 100, True))
        self.assertTrue(r.at_end())
        self.assertEqual(server.finish(), 0)

    def test_drain_delay_answers_new_requests(self):
        server = self.start("--drain-delay", "1.5")
        kept = server.connect()
        kept_reader = Reader(kept)
        kept.sendall(get("/readyz"))
        self.assertEqual(kept_reader.answer().status, 200)
        server.signal()
        server.wait_for("draining")
        time.sleep(0.1)
        s = server.connect()
        r = Reader(s)
        s.sendall(get("/readyz"))
        answer = r.answer()
        self.assertEqual((answer.status, answer.json, answer.closes), (503, {"status": "draining"}, True))
        kept.sendall(post({"text": "a"}))
        answer = kept_reader.answer()
        self.assertEqual((answer.status, answer.closes), (200, True))
        self.assertEqual(counted(server, "/livez"), 200)
        self.assertEqual(server.finish(), 0)

    def test_a_second_signal_ends_it_at_once(self):
        server = self.start("--drain-delay", "60")
        s = server.connect()
        s.sendall(post({"text": "abc"})[:-3])
        time.sleep(0.2)
        server.signal()
        server.wait_for("draining")
        began = time.monotonic()
        server.signal()
        self.assertNotEqual(server.finish(), 0)
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(server.events("stopped")[0]["dropped"], 1)

    def test_drain_timeout_cuts_off_and_says_so(self):
        server = self.start("--drain-timeout", "0.4")
        s = server.connect()
        s.sendall(post({"text": "abc"})[:-3])
        time.sleep(0.2)
        server.signal()
        self.assertNotEqual(server.finish(), 0)
        self.assertEqual(server.events("stopped")[0]["dropped"], 1)

    def drain_under_load(self, rounds: int, *options: str, hard: bool = False) -> dict[str, int]:
        total = dict.fromkeys(("ok", "refused", "closed", "cut", "wrong"), 0)
        chance = random.Random(7)
        body = post({"inputs": ["a text", "another text " * 10]})
        for _ in range(rounds):
            server = self.start(*options)
            s = server.connect()
            s.sendall(body)
            want = Reader(s).answer().json
            s.close()
            clients = [Client(server, body, want) for _ in range(8)]
            for c in clients:
                c.start()
            time.sleep(0.05 + 0.2 * chance.random())
            if hard:
                server.process.kill()
                server.process.wait()
            else:
                server.signal()
                self.assertEqual(server.finish(), 0)
                self.assertEqual(server.events("stopped")[0]["dropped"], 0)
            for c in clients:
                c.join()
                for key, n in c.outcome.items():
                    total[key] += n
        return total

    def test_drain_under_load_loses_nothing(self):
        """SIGTERM at random moments under 8 busy clients: every request sent on an open connection
        is answered, whole and right. The control, a kill instead of a drain, must lose some."""
        for threads in ("1", "2"):
            total = self.drain_under_load(6, "--drain-delay", "0.3", "--http-threads", threads)
            print(f"drained with {threads} I/O threads: {total}")
            self.assertGreater(total["ok"], 30)
            self.assertEqual({k: total[k] for k in ("closed", "cut", "wrong")},
                             {"closed": 0, "cut": 0, "wrong": 0}, total)
        control = self.drain_under_load(3, hard=True)
        self.assertGreater(control["closed"] + control["cut"], 0, control)

    def test_a_model_that_cannot_be_loaded(self):
        with tempfile.TemporaryDirectory() as empty:
            for model in (empty, os.path.join(empty, "nothing")):
                server = None
                try:
                    server = self.start(model=model, wait_ready=False)
                except AssertionError:
                    continue  # it was gone before we looked; that is fine as well
                self.assertNotEqual(server.finish(), 0)
                self.assertEqual(server.events("ready"), [])

    def test_a_queue_that_could_never_take_a_request_is_refused(self):
        server = self.start("--max-queue-tokens", "100", wait_ready=False)
        self.assertNotEqual(server.finish(), 0)
        self.assertIn("--max-queue-tokens 100", server.log())

    def test_the_address_is_taken(self):
        first = self.start()
        with self.assertRaises(AssertionError):
            second = Server("--port", str(first.port), wait_ready=False)
            self.addCleanup(second.close)
        self.assertEqual(counted(first, "/healthz"), 200)
        self.assertEqual(first.stop(), 0)


if __name__ == "__main__":
    unittest.main()
