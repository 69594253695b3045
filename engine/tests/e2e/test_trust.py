# SPDX-License-Identifier: Apache-2.0
"""Who may ask: API keys and their change under load, rates, origins, the Unix socket."""

import os
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path

from harness import PATIENCE_S, Reader, Server, get, post

ONE, TWO, ADMIN = "k1-abcdefghijklmn", "k2-abcdefghijklmn", "ka-abcdefghijklmn"
BODY = {"text": "a good film"}


def bearer(key):
    return f"Authorization: Bearer {key}\r\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.path = Path(self.dir.name)

    def start(self, *options, **more):
        server = Server(*options, **more)
        self.addCleanup(server.close)
        return server

    def write(self, name, *keys):
        """Replaced as a whole, as an operator or a Secret would."""
        new = self.path / (name + ".new")
        new.write_text("".join(k + "\n" for k in keys), encoding="ascii")
        os.replace(new, self.path / name)
        return str(self.path / name)

    def ask(self, server, request):
        s = server.connect()
        s.sendall(request)
        return Reader(s).answer(head_only=request.startswith(b"HEAD"))


class Keys(Case):
    def test_who_may_ask_what(self):
        server = self.start("--api-key-file", self.write("api", ONE, TWO), "--admin-key-file",
                            self.write("admin", ADMIN))
        infer, metrics, admin = (lambda k: post(BODY, k)), (lambda k: get("/metrics", k)), \
            (lambda k: get("/admin/models", k))
        for make, want in [(infer, {None: 401, ONE: 200, TWO: 200, ADMIN: 200, ONE + "x": 401, ONE[:-1]: 401}),
                           (metrics, {None: 401, ONE: 200, ADMIN: 200}),
                           (admin, {None: 401, ONE: 403, TWO: 403, ADMIN: 200, "x" * 20: 401})]:
            for key, status in want.items():
                answer = self.ask(server, make("" if key is None else bearer(key)))
                self.assertEqual(answer.status, status, (key, answer))
                self.assertEqual(answer.headers.get("www-authenticate"), "Bearer" if status == 401 else None)
        for path in ("/livez", "/readyz", "/healthz", "/health", "/ping", "/-/healthz", "/v2/health/live",
                     "/v2/health/ready"):
            self.assertEqual(self.ask(server, get(path)).status, 200, path)
        for path in ("/predict", "/classify", "/tokenize"):
            self.assertEqual(self.ask(server, post(BODY, path=path)).status, 401)
        self.assertIn("error_type", self.ask(server, post(BODY, path="/predict")).json)
        for k in (ONE, TWO, ADMIN):
            self.assertNotIn(k, server.log())
        self.assertEqual(server.stop(), 0)

    def test_keys_change_under_load(self):
        """0 of the requests with a key that is good throughout fail; a key that is taken away stops."""
        file = self.write("api", ONE, TWO)
        server = self.start("--api-key-file", file)
        stop, failed, answered = threading.Event(), [], [0, 0]

        def load(i):
            s = server.connect()
            r = Reader(s)
            while not stop.is_set():
                s.sendall(post(BODY, bearer(ONE)))
                answer = r.answer()
                answered[i] += 1
                if answer.status != 200:
                    failed.append(answer)
        threads = [threading.Thread(target=load, args=(i,)) for i in range(2)]
        for t in threads:
            t.start()
        try:
            for n in range(4):
                self.write("api", ONE, *([TWO] if n % 2 else []))
                want = 200 if n % 2 else 401
                end = time.monotonic() + PATIENCE_S
                while self.ask(server, post(BODY, bearer(TWO))).status != want:
                    self.assertLess(time.monotonic(), end, "the file is not read again")
                    time.sleep(0.05)
            before = len(server.events("keys read"))
            self.write("api", "short")  # a bad file leaves the old ones
            server.wait_for("keys not read again: the old ones stay")
            self.assertEqual(self.ask(server, post(BODY, bearer(TWO))).status, 200)
            self.assertEqual(len(server.events("keys read")), before)
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertEqual(failed, [])
        self.assertGreater(min(answered), 20)
        self.assertEqual(server.stop(), 0)

    def test_files_that_cannot_be_used_stop_the_start(self):
        for text, part in (("short\n", "line 1"), ("", "holds no key")):
            (self.path / "bad").write_text(text, encoding="ascii")
            with self.assertRaises(AssertionError) as caught:
                Server("--api-key-file", str(self.path / "bad"))
            self.assertIn("--api-key-file", str(caught.exception))
            self.assertIn(part, str(caught.exception))


class Rates(Case):
    def burst(self, server, n, key=None):
        s = server.connect()
        r = Reader(s)
        s.sendall(post(BODY, bearer(key) if key else "") * n)
        return [r.answer() for _ in range(n)]

    def test_a_rate_per_address(self):
        server = self.start("--rate-limit", "1", "--rate-burst", "5")
        answers = self.burst(server, 7)
        self.assertEqual([a.status for a in answers][:5], [200] * 5)  # n - 1 and n
        self.assertIn(429, [a.status for a in answers][5:])  # n + 1; a slow machine may have earned one
        refused = [a for a in answers if a.status == 429][0]
        self.assertEqual(refused.json["error"]["type"], "rate_limited")
        self.assertRegex(refused.headers["retry-after"], r"\A[1-9]\Z")
        for path in ("/livez", "/readyz", "/-/healthz"):
            for _ in range(20):
                self.assertEqual(self.ask(server, get(path)).status, 200)  # probes are not held back
        time.sleep(1.2)
        self.assertEqual(self.ask(server, post(BODY)).status, 200)
        time.sleep(1.2)
        page = self.ask(server, get("/metrics")).body.decode()
        shed = sum(a.status == 429 for a in answers)
        self.assertIn(f'inferd_rejected_total{{reason="rate"}} {shed}\n', page)
        self.assertEqual(server.stop(), 0)

    def test_a_rate_per_key(self):
        server = self.start("--rate-limit", "1", "--rate-burst", "3", "--api-key-file", self.write("api", ONE, TWO),
                            "--admin-key-file", self.write("admin", ADMIN))
        self.assertIn(429, [a.status for a in self.burst(server, 6, ONE)])
        self.assertEqual([a.status for a in self.burst(server, 3, TWO)], [200] * 3)
        self.assertEqual([a.status for a in self.burst(server, 20, ADMIN)], [200] * 20)
        self.assertEqual(server.stop(), 0)


class Origins(Case):
    ORIGIN = "Origin: https://a.example\r\n"

    def preflight(self, path="/infer"):
        return get(path, self.ORIGIN + "Access-Control-Request-Method: POST\r\n", "OPTIONS")

    def ask(self, server, request):
        """Also a 204, which has no length."""
        s = server.connect()
        s.sendall(request)
        data = s.recv(65536).decode("latin-1")
        lines = data.split("\r\n\r\n")[0].split("\r\n")
        return int(lines[0].split()[1]), {k.lower(): v for k, v in (x.split(": ", 1) for x in lines[1:])}

    def test_off_by_default(self):
        server = self.start()
        status, headers = self.ask(server, self.preflight())
        self.assertEqual(status, 405)
        status, headers = self.ask(server, post(BODY, self.ORIGIN))
        self.assertEqual((status, [h for h in headers if h.startswith("access-control")]), (200, []))

    def test_one_origin_or_all(self):
        for said, got in (("https://a.example", "https://a.example"), ("*", "*"), ("https://b.example", None)):
            server = self.start("--cors-origin", said, "--admin-key-file", self.write("admin", ADMIN))
            status, headers = self.ask(server, self.preflight())
            self.assertEqual(status, 204)
            self.assertNotIn("content-length", headers)
            self.assertEqual(headers.get("access-control-allow-origin"), got)
            if got:
                self.assertEqual(headers["access-control-allow-methods"], "POST")
                self.assertIn("Authorization", headers["access-control-allow-headers"])
            for request in (post(BODY, self.ORIGIN), post("[", self.ORIGIN), get("/info", self.ORIGIN)):
                status, headers = self.ask(server, request)
                self.assertEqual(headers.get("access-control-allow-origin"), got)
                self.assertEqual(headers.get("vary"), "Origin" if got else None)
            self.assertEqual(self.ask(server, self.preflight("/admin/models"))[0], 401)
            self.assertEqual(self.ask(server, self.preflight("/nope"))[0], 404)
            self.assertEqual(self.ask(server, get("/infer", self.ORIGIN, "OPTIONS"))[0], 405)
            self.assertEqual(server.stop(), 0)

    def test_a_preflight_needs_no_key_and_gives_none(self):
        server = self.start("--cors-origin", "*", "--api-key-file", self.write("api", ONE))
        self.assertEqual(self.ask(server, self.preflight())[0], 204)
        self.assertEqual(self.ask(server, post(BODY, self.ORIGIN))[0], 401)
        self.assertEqual(self.ask(server, post(BODY, self.ORIGIN + bearer(ONE)))[0], 200)
        self.assertEqual(server.stop(), 0)


class UnixSocket(Case):
    def dial(self, server):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE_S)
        s.connect(str(self.path / "s"))
        server.sockets.append(s)
        return s, Reader(s)

    def test_both_listeners_answer(self):
        server = self.start("--uds", str(self.path / "s"), "--http-threads", "2")
        s, r = self.dial(server)
        for _ in range(3):
            s.sendall(post({"inputs": ["a good film", "not a good film"]}) + get("/readyz"))
            over_unix = r.answer()
            self.assertEqual(r.answer().status, 200)
            self.assertEqual(over_unix.json, self.ask(server, post({"inputs": ["a good film", "not a good film"]})).json)
        self.assertEqual(os.stat(self.path / "s").st_mode & 0o777, 0o660)
        # a client that shuts its side still gets its answer
        s.sendall(post({"text": "w " * 100}))
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(r.answer().status, 200)
        self.assertTrue(r.at_end())
        self.assertEqual(server.stop(), 0)
        self.assertFalse((self.path / "s").exists())

    def test_a_drain_answers_what_was_asked(self):
        server = self.start("--uds", str(self.path / "s"))
        idle, idle_reader = self.dial(server)
        s, r = self.dial(server)
        request = post({"inputs": ["w " * 200] * 100})
        s.sendall(request[:-9])
        time.sleep(0.1)
        server.signal()
        server.wait_for("draining")
        s.sendall(request[-9:])
        answer = r.answer()
        self.assertEqual((answer.status, answer.closes), (200, True))
        self.assertEqual(server.finish(), 0)
        self.assertTrue(idle_reader.at_end())

    def test_a_stale_socket_is_replaced_and_a_live_one_is_not(self):
        first = self.start("--uds", str(self.path / "s"))
        with self.assertRaises(AssertionError) as caught:
            Server("--uds", str(self.path / "s"))
        self.assertIn("--uds", str(caught.exception))
        self.assertEqual(self.dial(first)[0].fileno() >= 0, True)  # the first is unharmed
        first.process.kill()
        first.process.wait()
        self.assertTrue((self.path / "s").exists())
        second = self.start("--uds", str(self.path / "s"))
        s, r = self.dial(second)
        s.sendall(get("/readyz"))
        self.assertEqual(r.answer().status, 200)
        self.assertEqual(second.stop(), 0)

    def test_what_is_no_socket_is_left_alone(self):
        (self.path / "s").write_text("mine", encoding="ascii")
        with self.assertRaises(AssertionError):
            Server("--uds", str(self.path / "s"))
        self.assertEqual((self.path / "s").read_text(encoding="ascii"), "mine")
        with self.assertRaises(AssertionError) as caught:
            Server("--uds", str(self.path / ("s" * 120)))
        self.assertIn("107 bytes", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
