# SPDX-License-Identifier: Apache-2.0
"""The law of outcomes: the server's books are the client's, to the last request, whatever happens."""

import os
import socket
import struct
import tempfile
import time
import unittest
from pathlib import Path

import law_client
import prometheus
import zero_model
from harness import MODEL, PATIENCE_S, Reader, Server, get, post
from prometheus import value

SLOW_BUILD = os.environ.get("IFD_TEST_VARIANT", "") in ("asan", "tsan")


def scrape(server: Server) -> tuple[dict, int]:
    """When only the scrape is in flight; and how many it took."""
    s = server.connect()
    r = Reader(s)
    end = time.monotonic() + PATIENCE_S
    scrapes = 0
    while True:
        s.sendall(get("/metrics"))
        families = prometheus.parse(r.answer().body.decode())
        scrapes += 1
        if value(families, "inferd_requests_in_flight") == 1 or time.monotonic() > end:
            s.close()
            return families, scrapes
        time.sleep(0.02)


def reset(s: socket.socket) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


class Law(unittest.TestCase):
    def setUp(self):
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.model = zero_model.make(Path(where.name) / "slow", MODEL, 96, 384, 3)

    def start(self, *options: str, model: str | None = None) -> Server:
        server = Server(*options, model=model or self.model)
        self.addCleanup(server.close)
        return server

    def totals(self, server: Server) -> dict:
        """What the log says at the end; the law must hold there as well."""
        totals = server.events("totals")[0]
        self.assertEqual(totals["started"], sum(totals[o] for o in prometheus.OUTCOMES))
        self.assertEqual(totals["in_flight"], 0)
        return totals

    def test_thousands_of_mixed_requests(self):
        server = self.start("--threads", "1", "--http-threads", "2", "--request-timeout", "0.03", "--max-queue", "140")
        before, _ = scrape(server)
        books = law_client.run(server.port, 1500 if SLOW_BUILD else 6000, 12, 1, vanish=False)
        after, scrapes = scrape(server)
        self.assertEqual(books["either"], 0)
        self.assertEqual(prometheus.law_breaches(after), [])
        self.assertEqual(law_client.differences(books, before, after, scrapes), [])
        for status in (200, 400, 404, 405, 411, 413, 415, 429, 501):
            self.assertGreater(books[f"status_{status}"], 0, (status, books))
        for kind in ("reset", "end_half_head", "end_half_body", "end_malformed", "end_too_large"):
            self.assertGreater(books[kind], 0, kind)
        # controls: one more or less in the client's books, or in the server's, is seen
        for key in ("sent", "ok", "client_error", "shed", "deadline", "reset", "status_404"):
            for step in (1, -1):
                wrong = law_client.Books(books)
                wrong[key] += step
                self.assertNotEqual(law_client.differences(wrong, before, after, scrapes), [], key)
        again = law_client.run(server.port, 1000, 12, 2, vanish=True)
        last, scrapes = scrape(server)
        self.assertEqual(law_client.differences(again, after, last, scrapes), [])
        self.assertGreater(again["either"], 0)
        key = ("inferd_request_outcomes_total", (("outcome", "shed"),))
        after["inferd_request_outcomes_total"].samples[key] += 1
        self.assertNotEqual(prometheus.law_breaches(after), [])
        self.assertEqual(server.stop(), 0)
        self.totals(server)

    def wait_for(self, server: Server, name: str, want: float, **labels: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while True:
            families = prometheus.parse(server.ask_metrics())
            if value(families, name, **labels) == want:
                return
            self.assertLess(time.monotonic(), end, (name, labels, value(families, name, **labels), want))
            time.sleep(0.02)

    def open_ends(self, server: Server) -> dict[str, list[socket.socket]]:
        """Three clients each in the midst of sending, of waiting, and of not taking answers."""
        ends = {"read": [], "wait": [], "write": []}
        for _ in range(3):
            s = server.connect()
            s.sendall(post({"text": "abc"})[:-4])
            ends["read"].append(s)
            s = socket.socket()
            server.sockets.append(s)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", server.port))
            s.settimeout(0.5)
            try:
                for _ in range(400):
                    s.sendall(get("/metrics") * 10)
            except TimeoutError:
                pass
            ends["write"].append(s)
        for _ in range(3):  # last, as these are being computed
            s = server.connect()
            s.sendall(post({"inputs": ["word " * 100] * 120}))
            ends["wait"].append(s)
        return ends

    def slow_server(self) -> Server:
        model = zero_model.make(Path(tempfile.mkdtemp(dir=Path(self.model).parent)) / "slower", MODEL, 96, 384, 6)
        server = self.start("--threads", "1", "--dtype", "fp32", "--tier", "ref", "--request-timeout", "600",
                            "--max-batch-tokens", "1024",
                            "--drain-timeout", "0.2", model=model)

        def ask_metrics() -> str:
            s = server.connect()
            s.sendall(get("/metrics"))
            return Reader(s).answer().body.decode()
        server.ask_metrics = ask_metrics
        return server

    def test_clients_that_go_away_at_each_stage(self):
        server = self.slow_server()
        ends = self.open_ends(server)
        self.wait_for(server, "inferd_requests_in_flight", 10)
        for stage, sockets in ends.items():
            for s in sockets:
                reset(s)
            self.wait_for(server, "inferd_cancelled_total", 3, stage=stage)
        self.wait_for(server, "inferd_requests_in_flight", 1)
        server.stop()  # may have to cut the batch that runs short
        self.assertEqual(self.totals(server)["cancelled"], 9)

    def test_a_deadline_that_passes_after_admission(self):
        """By itself, as the mix gets few: what cannot be met is refused at admission."""
        model = zero_model.make(Path(self.model).parent / "slower", MODEL, 192, 768, 4)
        server = self.start("--threads", "1", "--dtype", "fp32", "--tier", "ref", "--request-timeout", "0.1", model=model)
        s = server.connect()
        s.sendall(post({"inputs": ["word " * 100] * 120}))
        self.assertEqual(Reader(s).answer().status, 504)
        families, _ = scrape(server)
        self.assertEqual(prometheus.law_breaches(families), [])
        self.assertEqual(value(families, "inferd_request_outcomes_total", outcome="deadline"), 1)
        self.assertEqual(value(families, "inferd_request_duration_seconds_count", outcome="deadline"), 1)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.totals(server)["deadline"], 1)

    def test_what_a_drain_cuts_off(self):
        server = self.slow_server()
        self.open_ends(server)
        self.wait_for(server, "inferd_requests_in_flight", 10)
        self.assertNotEqual(server.stop(), 0)
        totals = self.totals(server)
        self.assertEqual((totals["drained"], totals["cancelled"]), (9, 0))
        self.assertEqual(server.events("stopped")[0]["dropped"], 9)

    def test_an_idle_connection_is_no_request(self):
        server = self.start("--keepalive-timeout", "0.2", "--header-timeout", "0.2", "--max-connections", "3")
        quiet = [server.connect() for _ in range(2)]
        quiet[0].sendall(b"\r\n")
        for s in quiet:
            self.assertEqual(s.recv(1), b"")
        families, _ = scrape(server)
        self.assertEqual(value(families, "inferd_requests_started_total"), 1)
        s = server.connect()
        s.sendall(b"G")
        self.assertEqual(Reader(s).answer().status, 408)
        families, scrapes = scrape(server)
        self.assertEqual(prometheus.law_breaches(families), [])
        self.assertEqual(value(families, "inferd_request_outcomes_total", outcome="client_error"), 1)
        # all connections busy: one more is refused before it is read, and counts as one request
        busy = [server.connect() for _ in range(3)]
        for s in busy:
            s.sendall(b"GET /li")
        time.sleep(0.05)
        refused = Reader(server.connect()).answer()
        self.assertEqual(refused.status, 429)
        self.assertRegex(refused.headers["x-request-id"], r"\A[0-9a-f]{32}\Z")
        for s in busy:
            Reader(s).answer()
        families, _ = scrape(server)
        self.assertEqual(prometheus.law_breaches(families), [])
        self.assertEqual(value(families, "inferd_rejected_total", reason="connections"), 1)
        self.assertEqual(server.stop(), 0)
        self.totals(server)


if __name__ == "__main__":
    unittest.main()
