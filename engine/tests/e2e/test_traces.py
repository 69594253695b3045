# SPDX-License-Identifier: Apache-2.0
"""Traces at a collector: what arrives, who is traced, and that a collector's faults cost no request."""

import json
import re
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import prometheus
from harness import PATIENCE_S, Reader, Server, get, post
from prometheus import value

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STAGES = ["parse", "tokenize", "queue", "infer", "serialize"]


class Collector(ThreadingHTTPServer):
    """Keeps what it gets. `answers` are the statuses of the first posts, 200 afterwards; `stall` holds each."""

    daemon_threads = True

    def __init__(self, answers: tuple[int, ...] = (), stall: float = 0.0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.stall, self.posts, self.bodies = list(answers), stall, 0, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[dict]:
        return [span for b in self.bodies for r in b["resourceSpans"] for s in r["scopeSpans"] for span in s["spans"]]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/json")
        time.sleep(self.server.stall)
        self.server.posts += 1
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status == 200:
            self.server.bodies.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


class Traces(unittest.TestCase):
    def start(self, collector_url: str, *options: str) -> Server:
        server = Server("--otlp-endpoint", collector_url, "--access-log", *options)
        self.addCleanup(server.close)
        server.wait_for("ready")
        return server

    def collector(self, *answers: int, stall: float = 0.0) -> Collector:
        c = Collector(answers, stall)
        self.addCleanup(c.server_close)
        self.addCleanup(c.shutdown)
        return c

    def ask(self, server: Server, body: dict):
        s = server.connect()
        s.sendall(post(body))
        return Reader(s).answer()

    def until(self, what, message: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not what():
            self.assertLess(time.monotonic(), end, message)
            time.sleep(0.05)

    def results(self, server: Server) -> dict[str, float]:
        s = server.connect()
        s.sendall(get("/metrics"))
        families = prometheus.parse(Reader(s).answer().body.decode())
        return {r: value(families, "inferd_trace_spans_total", result=r) for r in ("exported", "dropped", "failed")}

    def test_a_request_arrives_as_a_span_with_its_stages(self):
        c = self.collector()
        server = self.start(c.url, "--otlp-service", "films", "--otlp-sample-percent", "0")
        before = time.time_ns()
        headers = f"X-Request-ID: r-1\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n"
        s = server.connect()
        s.sendall(post({"inputs": ["a good film", "bad"]}, headers=headers))
        self.assertEqual(Reader(s).answer().status, 200)
        self.until(lambda: len(c.spans()) >= 6, "no spans came")
        after = time.time_ns()
        self.assertEqual(server.stop(), 0)
        (body,) = c.bodies
        resource = {a["key"]: a["value"]["stringValue"] for a in body["resourceSpans"][0]["resource"]["attributes"]}
        self.assertEqual(resource["service.name"], "films")
        self.assertEqual(resource["service.instance.id"], f"http://127.0.0.1:{server.port}")
        root, *children = c.spans()
        self.assertEqual((root["traceId"], root["parentSpanId"], root["name"], root["kind"]),
                         (TRACE, PARENT, "POST /infer", 2))
        attributes = {a["key"]: next(iter(a["value"].values())) for a in root["attributes"]}
        self.assertEqual({k: attributes[k] for k in ("http.response.status_code", "inferd.request_id", "inferd.inputs")},
                         {"http.response.status_code": "200", "inferd.request_id": "r-1", "inferd.inputs": "2"})
        self.assertGreaterEqual(int(attributes["inferd.tokens"]), 6)
        self.assertEqual([x["name"] for x in children], STAGES)
        # one after the other, from the root's start to its end, at the time of day
        at = int(root["startTimeUnixNano"])
        self.assertLess(before - 10**9, at)
        for child in children:
            self.assertEqual((child["traceId"], child["parentSpanId"]), (TRACE, root["spanId"]))
            self.assertGreaterEqual(int(child["endTimeUnixNano"]), int(child["startTimeUnixNano"]))
            self.assertGreaterEqual(int(child["startTimeUnixNano"]), at - 1_000_000)
            at = int(child["endTimeUnixNano"])
        self.assertEqual(at, int(root["endTimeUnixNano"]))
        self.assertLess(at, after + 10**9)
        ids = [x["spanId"] for x in c.spans()]
        self.assertEqual(len(set(ids)), len(ids))
        self.assertTrue(all(re.fullmatch("[0-9a-f]{16}", i) for i in ids))

    def test_the_callers_flag_decides_and_the_share_where_there_is_none(self):
        c = self.collector()
        server = self.start(c.url, "--otlp-sample-percent", "100")
        s = server.connect()
        reader = Reader(s)
        for headers in (f"traceparent: 00-{TRACE}-{PARENT}-00\r\nX-Request-ID: unsampled\r\n", "X-Request-ID: rooted\r\n"):
            s.sendall(post({"text": "a"}, headers=headers))
            self.assertEqual(reader.answer().status, 200)
        s.sendall(get("/none"))
        self.assertEqual(reader.answer().status, 404)
        self.assertEqual(server.stop(), 0)  # what is left is handed over at the end
        roots = [x for x in c.spans() if x["kind"] == 2]
        self.assertEqual([x["name"] for x in roots], ["POST /infer", "GET"])
        self.assertTrue(all("parentSpanId" not in x for x in roots))
        (line,) = [e for e in server.events("request") if e["id"] == "rooted"]
        self.assertEqual(line["trace"], roots[0]["traceId"])  # the log names the trace that began here

    def test_a_collector_that_is_busy_gets_them_later(self):
        c = self.collector(503, 429)
        server = self.start(c.url)
        self.assertEqual(self.ask(server, {"text": "a"}).status, 200)
        self.until(lambda: c.bodies, "nothing came after the refusals")
        self.until(lambda: self.results(server)["exported"] >= 1, "not counted")
        self.assertGreaterEqual(c.posts, 3)
        self.assertEqual(self.results(server)["failed"], 0)
        self.assertEqual(server.stop(), 0)

    def test_a_collector_that_refuses_is_not_asked_again(self):
        c = self.collector(400)
        server = self.start(c.url)
        self.assertEqual(self.ask(server, {"text": "a"}).status, 200)
        self.until(lambda: self.results(server)["failed"] >= 1, "not counted")
        self.assertEqual(server.wait_for("traces lost: the collector does not take them")["message"], "it answers 400")
        self.assertEqual(server.stop(), 0)

    def test_no_collector_costs_no_request_and_no_clean_stop(self):
        for name, url in (("nobody listens", "http://127.0.0.1:1"), ("stalls", self.collector(stall=30).url)):
            with self.subTest(name):
                server = self.start(url)
                s = server.connect()
                reader = Reader(s)
                took = []
                for _ in range(1500):  # more than the queue holds
                    began = time.monotonic()
                    s.sendall(post({"text": "a"}))
                    self.assertEqual(reader.answer().status, 200)
                    took.append(time.monotonic() - began)
                self.assertLess(sorted(took)[len(took) // 2], 0.1)
                began = time.monotonic()
                self.assertEqual(server.stop(), 0)
                self.assertLess(time.monotonic() - began, 20)

    def test_a_url_that_is_none_is_refused_at_the_start(self):
        with self.assertRaisesRegex(AssertionError, "--otlp-endpoint: ftp://collector: must be an http:// URL"):
            Server("--otlp-endpoint", "ftp://collector")


if __name__ == "__main__":
    unittest.main()
