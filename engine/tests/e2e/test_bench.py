# SPDX-License-Identifier: Apache-2.0
"""`inferd bench` against the server, and against small servers that misbehave: each fault must be
counted as what it is, and the outcomes must add up to the requests."""

import csv
import io
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BIN, PATIENCE_S, REPORT, ServerCase

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n[{\"label\":1}]"


def start(url: str, *options: str, stderr=subprocess.PIPE) -> subprocess.Popen:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_BENCH")}
    return subprocess.Popen([BIN, "bench", url, *options], stdin=subprocess.DEVNULL, env=clean,
                            stdout=subprocess.PIPE, stderr=stderr)


def run(url: str, *options: str) -> subprocess.CompletedProcess:
    process = start(url, *options)
    try:
        out, said = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    if REPORT.search(said.decode()):
        raise AssertionError(said.decode())
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


class Scripted:
    """A server of one listening socket; each connection is given to `script(connection, number)`
    in a thread of its own, numbers from 0."""

    def __init__(self, case: unittest.TestCase, script, family=socket.AF_INET):
        self.script, self.count = script, 0
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/infer"
        threading.Thread(target=self._accept, daemon=True).start()
        case.addCleanup(self.listener.close)

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s, self.count), daemon=True).start()
            self.count += 1

    def _serve(self, s, number):
        try:
            self.script(s, number)
        except OSError:
            pass
        finally:
            s.close()


def request(s: socket.socket) -> bytes:
    """One request of bench; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    size = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    while len(body) < size:
        body += s.recv(65536)
    return head + b"\r\n\r\n" + body


def reset(s: socket.socket) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def always(answer: bytes):
    def script(s, _number):
        while request(s):
            s.sendall(answer)
    return script


class Bench(unittest.TestCase):
    def bench(self, url: str, *options: str, code: int = 0) -> dict:
        done = run(url, "--json", *options)
        self.assertEqual(done.returncode, code, done.stderr)
        figures = json.loads(done.stdout)
        self.assert_law(figures)
        return figures

    def assert_law(self, figures: dict) -> None:
        self.assertTrue(figures["law"]["holds"])
        self.assertEqual(sum(figures["outcomes"].values()), figures["requests"])
        self.assertEqual(sum(figures["status"].values()), figures["outcomes"]["answer"])

    def assert_outcomes(self, figures: dict, **want: int) -> None:
        self.assertEqual({k: v for k, v in figures["outcomes"].items() if v}, want)


class AgainstTheServer(ServerCase, Bench):
    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    def test_closed_loop(self):
        f = self.bench(self.url(), "--requests", "300", "--connections", "4", "--inputs", "3",
                       "--expect-labels", "3")
        self.assert_outcomes(f, answer=300)
        self.assertEqual(f["status"], {"200": 300})
        self.assertEqual((f["connections"]["opened"], f["connections"]["reconnects"]), (4, 0))
        self.assertEqual(f["ok_latency_ms"]["count"], 300)
        self.assertGreater(f["ok_per_s"], 0)
        self.assertAlmostEqual(f["inputs_per_s"] / f["ok_per_s"], 3, places=2)
        times = [f["ok_latency_ms"][k] for k in ("min", "p50", "p90", "p95", "p99", "p99_9", "max")]
        self.assertEqual(times, sorted(times))

    def test_open_loop_and_intervals(self):
        for arrivals in ("constant", "poisson"):
            f = self.bench(self.url(), "--rate", "100", "--duration", "1.5", "--arrivals", arrivals,
                           "--report-interval", "500ms")
            self.assert_outcomes(f, answer=f["requests"])
            self.assertAlmostEqual(f["requests"], 150, delta=1 if arrivals == "constant" else 50)
            for key in ("begun", "ok"):
                self.assertEqual(sum(i[key] for i in f["intervals"]), f["requests"])

    def test_warm_up_is_in_no_figure(self):
        f = self.bench(self.url(), "--rate", "100", "--requests", "20", "--warmup", "300ms")
        self.assertEqual((f["requests"], f["warmup_requests"]), (20, 30))
        f = self.bench(self.url(), "--requests", "20", "--warmup", "100ms", "--connections", "2")
        self.assertEqual(f["requests"], 20)
        self.assertGreater(f["warmup_requests"], 0)

    def test_statuses_headers_and_files(self):
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.write("sentence\tlabel\nfine\t1\n\t0\n")  # an empty text is a 400
            file.flush()
            f = self.bench(self.url(), "--requests", "10", "--texts", file.name, "--format", "tsv",
                           "--connections", "1")
        self.assertEqual(f["status"], {"200": 5, "400": 5})
        self.assertEqual(f["ok"], 5)
        f = self.bench(self.url(), "--requests", "2", "--header", "Content-Type: text/plain")
        self.assertEqual(f["status"], {"415": 2})
        f = self.bench(self.url("/healthz"), "--requests", "5", "--method", "GET")
        self.assertEqual(f["status"], {"200": 5})
        f = self.bench(self.url("/none"), "--requests", "5")
        self.assertEqual(f["status"], {"404": 5})

    def test_localhost(self):
        f = self.bench(f"http://localhost:{self.server.port}", "--requests", "5")
        self.assert_outcomes(f, answer=5)

    def test_text_and_csv(self):
        done = run(self.url(), "--requests", "50")
        self.assertEqual(done.returncode, 0)
        self.assertIn("holds", done.stdout.decode())
        self.assertIn("p99.9", done.stdout.decode())
        self.assertEqual(done.stderr, b"")
        done = run(self.url(), "--requests", "50", "--csv")
        rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
        self.assertEqual(len(rows), 1)
        self.assertEqual((rows[0]["requests"], rows[0]["status_2xx"]), ("50", "50"))

    def test_interrupt_reports(self):
        process = start(self.url(), "--json", "--duration", "60")
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 0)
        f = json.loads(out)
        self.assert_law(f)
        self.assertEqual(f["end"], "interrupted")
        self.assertGreater(f["ok"], 0)
        self.assertLess(f["window_s"], 30)

    def test_live_line_on_a_terminal(self):
        ours, theirs = pty.openpty()
        process = start(self.url(), "--duration", "2.5", stderr=theirs)
        os.close(theirs)
        out, _ = process.communicate(timeout=PATIENCE_S)
        said = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertIn("ok/s", said)
        self.assertIn("p99", said)
        self.assertNotIn("\r", out.decode())


class Misbehaving(Bench):
    def test_refused(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{s.getsockname()[1]}/infer"
            f = self.bench(url, "--requests", "100", "--connections", "3", code=9)
            self.assert_outcomes(f, connect_refused=3)  # what has not begun is not counted
            self.assertEqual(f["end"], "unreachable")
            done = run(url, "--requests", "10", "--rate", "100", "--connections", "2")
            self.assertEqual(done.returncode, 9)
            self.assertIn(b"is the server running there?", done.stderr)

    def test_refused_after_it_had_answered(self):
        def script(s, _number):
            request(s)
            server.listener.shutdown(socket.SHUT_RDWR)  # a close waits for accept to return
            s.sendall(OK[:15] + b"\r\nConnection: close" + OK[15:])
        server = Scripted(self, script)
        f = self.bench(server.url, "--requests", "4", "--connections", "1")
        self.assert_outcomes(f, answer=1, connect_refused=3)

    def test_close_is_honoured_and_no_failure(self):
        def script(s, _number):
            request(s)
            s.sendall(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
        f = self.bench(Scripted(self, script).url, "--requests", "20", "--connections", "2")
        self.assert_outcomes(f, answer=20)
        self.assertEqual(f["connections"]["reconnects"], 18)
        self.assertEqual(f["connections"]["closing_answers"], 20)

    def test_old_server_whose_answer_ends_with_the_connection(self):
        def script(s, _number):
            request(s)
            s.sendall(b"HTTP/1.0 200 OK\r\n\r\n[{\"label\":1}]")
        f = self.bench(Scripted(self, script).url, "--requests", "6", "--expect-labels", "1")
        self.assert_outcomes(f, answer=6)

    def test_reset_and_close_fresh(self):
        def resets(s, _number):
            request(s)
            reset(s)
        f = self.bench(Scripted(self, resets).url, "--requests", "9", "--connections", "2")
        self.assert_outcomes(f, reset_before_answer_fresh=9)

        def closes(s, _number):
            request(s)
        f = self.bench(Scripted(self, closes).url, "--requests", "9", "--connections", "2")
        self.assert_outcomes(f, closed_before_answer_fresh=9)

    def test_reset_and_close_reused(self):
        def resets(s, _number):
            request(s)
            s.sendall(OK)
            request(s)
            reset(s)
        f = self.bench(Scripted(self, resets).url, "--requests", "10", "--connections", "1")
        self.assert_outcomes(f, answer=5, reset_before_answer_reused=5)

        def closes(s, _number):
            request(s)
            s.sendall(OK)
            request(s)
        f = self.bench(Scripted(self, closes).url, "--requests", "10", "--connections", "1")
        self.assert_outcomes(f, answer=5, closed_before_answer_reused=5)

    def test_closed_while_idle_is_no_failure(self):
        def script(s, _number):
            request(s)
            s.sendall(OK)  # and close, long before the next request is due
        f = self.bench(Scripted(self, script).url, "--requests", "4", "--connections", "1",
                       "--rate", "4")
        self.assert_outcomes(f, answer=4)
        self.assertEqual(f["connections"]["idle_closed"], 3)

    def test_truncated(self):
        for part, how in ((OK[:7], "close"), (OK[:30], "close"), (OK[:-1], "close"),
                          (OK[:-1], "reset"), (OK[:30], "reset")):
            def script(s, _number, part=part, how=how):
                request(s)
                s.sendall(part)
                if how == "reset":
                    time.sleep(0.05)  # a reset destroys what was not yet read
                    reset(s)
            f = self.bench(Scripted(self, script).url, "--requests", "4", "--connections", "2")
            self.assert_outcomes(f, truncated=4)

    def test_malformed(self):
        for answer in (b"220 mail.example\r\n", b"nonsense", OK + b"more", OK + OK,
                       b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"):
            def script(s, _number, answer=answer):
                request(s)
                s.sendall(answer)
            f = self.bench(Scripted(self, script).url, "--requests", "4", "--connections", "2")
            self.assert_outcomes(f, malformed_answer=4)

    def test_wrong_number_of_labels(self):
        def script(s, _number):
            for answer in (OK, OK.replace(b"label", b"lebal"), OK):
                request(s)
                s.sendall(answer)
            while request(s):
                s.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
        f = self.bench(Scripted(self, script).url, "--requests", "5", "--connections", "1",
                       "--expect-labels", "1")
        self.assert_outcomes(f, answer=4, wrong_answer=1)  # only a 2xx owes labels
        self.assertEqual(f["status"], {"200": 2, "400": 2})

    def test_timeout(self):
        def script(s, number):
            request(s)
            if number % 2:
                s.sendall(OK)
                request(s)
            time.sleep(2)
        f = self.bench(Scripted(self, script).url, "--requests", "4", "--connections", "1",
                       "--timeout", "200ms")
        self.assert_outcomes(f, answer=1, timeout=3)
        self.assertLess(f["elapsed_s"], 1.5)

    def test_refusals_have_times_of_their_own(self):
        def script(s, _number):
            request(s)
            s.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            request(s)
            s.sendall(b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n")
            request(s)
            time.sleep(0.2)
            s.sendall(OK)
        f = self.bench(Scripted(self, script).url, "--requests", "3", "--connections", "1")
        self.assertEqual((f["ok"], f["refused"]), (1, 2))
        self.assertGreaterEqual(f["ok_latency_ms"]["min"], 195)
        self.assertLess(f["refused_latency_ms"]["p50"], 195)

    def test_not_sent(self):
        """One connection that answers nothing: what was due meanwhile is not lost from the count."""
        def script(s, _number):
            request(s)
            time.sleep(5)
        f = self.bench(Scripted(self, script).url, "--rate", "50", "--duration", "1",
                       "--connections", "1", "--timeout", "400ms")
        self.assertEqual(f["requests"], 50)
        self.assertGreaterEqual(f["outcomes"]["not_sent"], 10)
        self.assertGreaterEqual(f["outcomes"]["timeout"], 2)
        self.assertEqual(f["outcomes"]["not_sent"] + f["outcomes"]["timeout"], 50)

    def test_a_stall_shows_in_an_open_loop(self):
        """Coordinated omission. A server stalls 500 ms once. Users who come every 5 ms meanwhile
        wait too, so a fifth of all times in 2.5 s is long; the time from sending, which is what a
        client sees that waits politely, has one long value among 500: the positive control."""
        def script(s, _number):
            for i in range(10 ** 6):
                if not request(s):
                    return
                if i == 100:
                    time.sleep(0.5)
                s.sendall(OK)
        f = self.bench(Scripted(self, script).url, "--rate", "200", "--duration", "2.5",
                       "--connections", "1")
        self.assert_outcomes(f, answer=500)
        self.assertGreater(f["ok_latency_ms"]["p99"], 400)
        self.assertGreater(f["ok_latency_ms"]["p90"], 200)
        self.assertGreaterEqual(f["ok_service_ms"]["max"], 490)
        self.assertLess(f["ok_service_ms"]["p99"], 200)

    def test_large_requests_and_early_answers(self):
        """A request larger than a socket's buffers, read late; and one refused unread."""
        def slow(s, _number):
            time.sleep(0.2)
            while request(s):
                s.sendall(OK)
                time.sleep(0.2)
        f = self.bench(Scripted(self, slow).url, "--requests", "3", "--connections", "1",
                       "--inputs", "60000")
        self.assert_outcomes(f, answer=3)

        def early(s, _number):
            s.recv(100)
            s.sendall(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.5)
        f = self.bench(Scripted(self, early).url, "--requests", "3", "--connections", "1",
                       "--inputs", "60000")
        self.assert_outcomes(f, answer=3)
        self.assertEqual(f["status"], {"413": 3})

    def test_ipv6(self):
        try:
            server = Scripted(self, always(OK), socket.AF_INET6)
        except OSError:
            self.skipTest("no IPv6 here")
        f = self.bench(f"http://[::1]:{server.port}/infer", "--requests", "5")
        self.assert_outcomes(f, answer=5)
        if any(a[0] == socket.AF_INET6 for a in socket.getaddrinfo("localhost", server.port)):
            f = self.bench(f"http://localhost:{server.port}/infer", "--requests", "5")
            self.assert_outcomes(f, answer=5)

    def test_what_the_server_gets(self):
        seen = []

        def script(s, _number):
            while True:
                seen.append(request(s))
                if not seen[-1]:
                    return
                s.sendall(OK)
        self.bench(Scripted(self, script).url + "?a=b", "--requests", "1", "--connections", "1",
                   "--header", "X-Request-Timeout-Ms: 250", "--header", "Accept: */*")
        head, _, body = seen[0].partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.assertEqual(lines[0], b"POST /infer?a=b HTTP/1.1")
        self.assertIn(b"X-Request-Timeout-Ms: 250", lines)
        self.assertIn(b"Accept: */*", lines)
        self.assertEqual(json.loads(body), {"inputs": ["I love this!"]})

    def test_bad_usage(self):
        for args, part in ((("https://127.0.0.1/",), b"TLS is not spoken"),
                           (("127.0.0.1:8000",), b"must be an http:// URL"),
                           (("http://127.0.0.1:1", "--header", "x"), b"'Name: value'"),
                           (("http://127.0.0.1:1", "--conections", "1"), b"did you mean --connections"),
                           (("http://127.0.0.1:1", "--connections", "0"), b"from 1 to 60000")):
            done = run(*args)
            self.assertEqual((done.returncode, done.stdout), (2, b""), done)
            self.assertIn(part, done.stderr)
        done = run("http://127.0.0.1:1", "--texts", "/nonexistent")
        self.assertEqual(done.returncode, 8)
        with tempfile.NamedTemporaryFile("wb") as file:
            file.write(b"\xff\n")
            file.flush()
            done = run("http://127.0.0.1:1", "--texts", file.name)
        self.assertEqual(done.returncode, 6)
        self.assertIn(b"line 1", done.stderr)


if __name__ == "__main__":
    unittest.main()
