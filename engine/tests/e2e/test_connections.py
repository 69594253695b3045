# SPDX-License-Identifier: Apache-2.0
"""Connections: pipelining, pieces, half-close, slow and vanishing clients, and the limits' edges."""

import socket
import struct
import threading
import time
import unittest

from harness import Reader, ServerCase, get, post


class Connections(ServerCase):
    def test_pipelined_requests_are_answered_in_order(self):
        s, r = self.connect()
        texts = [f"text {i} " + "w " * (i % 9) for i in range(40)]
        alone = [self.ask(post({"text": t})).json for t in texts]
        burst = b"".join(post({"text": t}) + get("/healthz") + post("[]") for t in texts)
        s.sendall(burst)
        for i in range(len(texts)):
            self.assertEqual(r.answer().json, alone[i])
            self.assertEqual(r.answer().json, {"status": "ok"})
            self.assertEqual(r.answer().status, 400)
        self.assert_usable(s, r)

    def test_byte_by_byte(self):
        s, r = self.connect()
        whole = self.ask(post({"inputs": ["caf\u00e9", "b"]})).json
        for request in (post({"inputs": ["caf\u00e9", "b"]}), get("/livez")):
            for i in range(len(request)):
                s.sendall(request[i:i + 1])
                if i % 16 == 0:
                    time.sleep(0.001)
        self.assertEqual(r.answer().json, whole)
        self.assertEqual(r.answer().status, 200)

    def test_two_pieces_at_every_byte(self):
        request = post({"inputs": ["caf\u00e9"]})
        want = self.ask(request).json
        s, r = self.connect()
        for i in range(1, len(request)):
            s.sendall(request[:i])
            s.sendall(request[i:])
            self.assertEqual(r.answer().json, want)

    def test_half_close_is_answered(self):
        s, r = self.connect()
        s.sendall(post({"text": "a"}) + post({"text": "b"}) + get("/healthz"))
        s.shutdown(socket.SHUT_WR)
        self.assertEqual([r.answer().status for _ in range(3)], [200, 200, 200])
        self.assertTrue(r.at_end())

    def test_half_close_inside_a_request(self):
        for cut in (get("/")[:-2], post({"text": "abc"})[:-3]):
            s, r = self.connect()
            s.sendall(cut)
            s.shutdown(socket.SHUT_WR)
            answer = r.answer()
            self.assert_error(answer, 400, "invalid_http", "ended inside")
            self.assertTrue(answer.closes)
            self.assertTrue(r.at_end())

    def test_close_and_http_1_0(self):
        for request, closes in [
            (get("/healthz", "Connection: close\r\n"), True),
            (b"GET /healthz HTTP/1.0\r\n\r\n", True),
            (b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
        ]:
            s, r = self.connect()
            s.sendall(request)
            answer = r.answer()
            self.assertEqual((answer.status, answer.closes), (200, closes))
            if closes:
                self.assertTrue(r.at_end())
            else:
                self.assertEqual(answer.headers["connection"], "keep-alive")
                self.assert_usable(s, r)

    def test_clients_that_vanish(self):
        """Resets at every stage; the server goes on and leaks no connection."""
        request = post({"inputs": ["some text " * 20] * 5})
        for i in range(120):
            s = self.server.connect()
            s.sendall(request[: (i * 97) % len(request)] if i % 3 else request)
            if i % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        s, r = self.connect()
        self.assert_usable(s, r)

    def test_a_client_that_does_not_read(self):
        """Back-pressure: one that pipelines and reads nothing costs a bounded amount, and gets all
        answers, complete and in order, once it reads."""
        s, r = self.connect()
        before = self.server.memory_kib()
        request = get("/info")
        sent, stop = [0], threading.Event()

        def push():
            s.settimeout(0.5)
            try:
                while sent[0] < 60000 and not stop.is_set():
                    s.sendall(request * 20)
                    sent[0] += 20
            except (TimeoutError, OSError):
                pass  # the server does not take more: that is the point
        t = threading.Thread(target=push)
        t.start()
        t.join(20)
        self.assertLess(self.server.memory_kib() - before, 8 * 1024)
        self.assertEqual(self.ask(get("/healthz")).status, 200)
        stop.set()
        s.settimeout(30)
        for _ in range(200):
            self.assertEqual(r.answer().status, 200)

    def test_many_connections_at_once(self):
        answers = []

        def client(n):
            s = self.server.connect()
            r = Reader(s)
            for i in range(20):
                s.sendall(post({"inputs": [f"client {n} request {i}"] * (1 + n % 3)}))
                answers.append((r.answer().status, n))
            s.close()
        threads = [threading.Thread(target=client, args=(n,)) for n in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(answers), 320)
        self.assertEqual({status for status, _ in answers}, {200})


class ManyThreads(ServerCase):
    """The same answers with several I/O threads."""
    OPTIONS = ("--http-threads", "3")

    def test_answers(self):
        want = self.ask(post({"inputs": ["a", "b"]})).json
        threads, wrong = [], []

        def client():
            s = self.server.connect()
            r = Reader(s)
            for _ in range(30):
                s.sendall(post({"inputs": ["a", "b"]}))
                if r.answer().json != want:
                    wrong.append(1)
            s.close()
        for _ in range(12):
            threads.append(threading.Thread(target=client))
            threads[-1].start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.ask(get("/info")).json["threads"]["http"], 3)


class Limits(ServerCase):
    OPTIONS = ("--max-inputs", "4", "--max-body-bytes", "300", "--max-header-bytes", "400",
               "--max-headers", "6", "--max-target-bytes", "32", "--max-queue", "4")

    def test_inputs(self):
        for n, status in ((3, 200), (4, 200), (5, 413)):
            s, r = self.connect()
            s.sendall(post({"inputs": ["a"] * n}))
            answer = r.answer()
            self.assertEqual(answer.status, status)
            if status == 413:
                self.assert_error(answer, 413, "too_many_inputs", "--max-inputs 4")
            self.assert_usable(s, r)

    def test_body(self):
        for n, status in ((299, 200), (300, 200), (301, 413)):
            body = b'{"text":"a"}'.ljust(n)
            answer = self.ask(post(body))
            self.assertEqual(answer.status, status)
            if status == 413:
                self.assert_error(answer, 413, "body_too_large", "--max-body-bytes")
                self.assertTrue(answer.closes)
            head = post(b"")[:-len("Content-Length: 0\r\n\r\n")] + b"Transfer-Encoding: chunked\r\n\r\n"
            self.assertEqual(self.ask(head + b"%x\r\n%s\r\n0\r\n\r\n" % (n, body)).status, status)

    def test_head(self):
        for n, status in ((399, 200), (400, 200), (401, 431)):
            base = get("/healthz", "X: \r\n")
            request = get("/healthz", "X: " + "x" * (n - len(base)) + "\r\n")
            self.assertEqual(len(request), n)
            self.assertEqual(self.ask(request).status, status)

    def test_headers(self):
        for n, status in ((4, 200), (5, 200), (6, 431)):  # and Host
            self.assertEqual(self.ask(get("/healthz", "X: 1\r\n" * n)).status, status)

    def test_target(self):
        for n, status in ((31, 200), (32, 200), (33, 414)):
            self.assertEqual(self.ask(get("/healthz?".ljust(n, "x"))).status, status)


class Timeouts(ServerCase):
    OPTIONS = ("--header-timeout", "0.3", "--body-timeout", "0.6", "--keepalive-timeout", "1.5",
               "--write-timeout", "0.7")

    def timed(self, sent: bytes) -> tuple[float, Reader]:
        s, r = self.connect()
        s.sendall(sent)
        return time.monotonic(), r

    def test_a_slow_head(self):
        began, r = self.timed(get("/healthz")[:-4])
        answer = r.answer()
        self.assert_error(answer, 408, "request_timeout", "--header-timeout")
        self.assertTrue(answer.closes)
        self.assertTrue(0.25 < time.monotonic() - began < 10)
        # a byte now and then does not prolong it
        s, r = self.connect()
        began = time.monotonic()
        try:
            for _ in range(100):
                s.sendall(b"\r\n" if _ == 0 else get("/healthz")[_ - 1:_])
                time.sleep(0.1)
                if time.monotonic() - began > 2:
                    break
        except OSError:
            pass
        self.assertEqual(r.answer().status, 408)

    def test_a_slow_body(self):
        began, r = self.timed(post({"text": "abc"})[:-3])
        self.assert_error(r.answer(), 408, "request_timeout", "--body-timeout")
        self.assertTrue(0.5 < time.monotonic() - began < 10)

    def test_an_idle_connection(self):
        began, r = self.timed(get("/healthz"))
        self.assertEqual(r.answer().status, 200)
        self.assertTrue(r.at_end())
        self.assertTrue(1.4 < time.monotonic() - began < 15)
        s, r = self.connect()  # also one that has never sent anything
        self.assertTrue(r.at_end())

    def test_a_client_that_does_not_take_its_answers(self):
        s, r = self.connect()
        s.settimeout(0.3)
        sent = 0
        try:
            while sent < 200000:  # until the server takes no more
                s.sendall(get("/info") * 50)
                sent += 50
        except OSError:
            pass
        time.sleep(2)
        s.settimeout(30)
        answers = 0
        with self.assertRaises((EOFError, ConnectionResetError)):
            while True:
                self.assertEqual(r.answer().status, 200)
                answers += 1
        self.assertLess(answers, sent)

    def test_a_quick_client_is_not_cut_off(self):
        s, r = self.connect()
        for _ in range(8):
            time.sleep(0.25)
            self.assert_usable(s, r)


class MaxConnections(ServerCase):
    OPTIONS = ("--max-connections", "8")

    def test_the_longest_idle_one_makes_room(self):
        idle = [self.connect() for _ in range(8)]
        for s, r in idle:
            self.assert_usable(s, r)
        s, r = self.connect()
        self.assert_usable(s, r)
        self.assertTrue(idle[0][1].at_end())
        for other in idle[1:]:
            self.assert_usable(*other)

    def test_a_full_house_refuses(self):
        busy = [self.connect() for _ in range(8)]
        for s, r in busy:
            s.sendall(post({"text": "abc"})[:-3])  # not idle: a request is on its way
        time.sleep(0.3)
        s, r = self.connect()
        answer = r.answer()
        self.assert_error(answer, 429, "overloaded", "--max-connections")
        self.assertTrue(answer.closes)
        self.assertIn("retry-after", answer.headers)
        for s, r in busy:
            s.sendall(post({"text": "abc"})[-3:])
            self.assertEqual(r.answer().status, 200)


if __name__ == "__main__":
    unittest.main()
