# SPDX-License-Identifier: Apache-2.0
"""/metrics after mixed traffic: the format, the laws, what docs/metrics.md says, names of requests."""

import re
import socket
import struct
import tempfile
import time
import unittest
from pathlib import Path

import prometheus
import zero_model
from harness import HERE, MODEL, Reader, Server, ServerCase, get, post
from prometheus import value

DOC = HERE.parents[2] / "docs" / "metrics.md"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def documented(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """name -> type, labels: the rows of the tables that begin with a name in backquotes."""
    rows = {}
    for line in text.splitlines():
        m = re.match(r"\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \|([^|]*)\|", line)
        if m:
            assert m[1] not in rows, f"{m[1]} twice"
            rows[m[1]] = (m[2], frozenset(re.findall(r"`([a-z_]+)`", m[3])))
    return rows


def differences(doc: str, families: dict, tei: bool = False) -> list[str]:
    rows = {n: r for n, r in documented(doc).items() if tei or not n.startswith("te_")}
    found = [f"{n} is not in the doc" for n in families.keys() - rows.keys()]
    found += [f"{n} is not in the scrape" for n in rows.keys() - families.keys()]
    for name in rows.keys() & families.keys():
        have = (families[name].type, frozenset(families[name].labels()))
        if have != rows[name]:
            found.append(f"{name}: the doc says {rows[name]}, the scrape {have}")
    return found


class Metrics(ServerCase):
    OPTIONS = ("--access-log", "--http-threads", "2", "--threads", "2")

    def scrape(self) -> dict:
        """Once nothing but the scrape is on its way: an answer is there an instant before its count."""
        end = time.monotonic() + 30
        while True:
            answer = self.ask(get("/metrics"))
            self.assertEqual(answer.headers["content-type"], prometheus.MEDIA_TYPE)
            families = prometheus.parse(answer.body.decode())
            if value(families, "inferd_requests_in_flight") == 1 or time.monotonic() > end:
                return families
            time.sleep(0.01)

    def traffic(self) -> None:
        for _ in range(20):
            s, r = self.connect()
            s.sendall(post({"inputs": ["a good film", "not a good film"]}) + get("/healthz") + get("/none")
                      + post("[") + post({"text": "w " * 500}) + get("/infer"))
            self.assertEqual([r.answer().status for _ in range(6)], [200, 200, 404, 400, 200, 405])

    def test_the_doc_and_a_scrape_agree(self):
        self.traffic()
        families, doc = self.scrape(), DOC.read_text(encoding="utf-8")
        self.assertEqual(differences(doc, families), [])
        self.assertGreater(len(families), 35)
        # controls: a row less, a type or label changed, a family less
        self.assertEqual(len(differences(doc.replace("| `inferd_ready` |", "| inferd_ready |"), families)), 1)
        self.assertEqual(len(differences(doc.replace("total` | counter", "total` | gauge", 1), families)), 1)
        self.assertEqual(len(differences(doc.replace("| `stage` |", "| `step` |", 1), families)), 1)
        families.pop("inferd_queue_depth")
        self.assertEqual(len(differences(doc, families)), 1)

    def test_the_format_checks_catch_faults(self):
        """The control of parse(): each of these must be refused."""
        good = self.ask(get("/metrics")).body.decode()
        prometheus.parse(good)
        for old, new in [("# TYPE inferd_ready gauge\n", ""), ("# HELP inferd_ready ", "# HELP inferd_draining "),
                         ("inferd_ready 1\n", "inferd_ready 1\ninferd_ready 1\n"), ("inferd_ready 1", "inferd_ready NaN"),
                         ('kind="inputs"', 'kind="in"puts"'), ("inferd_ready 1", "inferd_readi 1"),
                         ('inferd_batch_size_bucket{le="+Inf"} ', 'inferd_batch_size_bucket{le="+Inf"} 9'),
                         ('inferd_batch_size_bucket{le="1"} ', 'inferd_batch_size_bucket{le="1"} 99'),
                         ("inferd_confidence_sum ", "inferd_confidence_sum -")]:
            self.assertIn(old, good)
            with self.assertRaises(AssertionError, msg=new):
                prometheus.parse(good.replace(old, new))

    def test_numbers(self):
        before = self.scrape()
        self.traffic()
        after = self.scrape()
        self.assertEqual(prometheus.law_breaches(after), [])

        def grew(name, **labels):
            return value(after, name, **labels) - value(before, name, **labels)
        self.assertEqual(grew("inferd_requests_total", route="/infer", code="200"), 40)
        self.assertEqual(grew("inferd_requests_total", route="/infer", code="400"), 20)
        self.assertEqual(grew("inferd_requests_total", route="/infer", code="405"), 20)
        self.assertEqual(grew("inferd_requests_total", route="other", code="404"), 20)
        self.assertEqual(grew("inferd_requests_total", route="/healthz", code="200"), 20)
        self.assertEqual(grew("inferd_inputs_total"), 60)
        self.assertEqual(grew("inferd_truncated_inputs_total"), 20)
        self.assertEqual(grew("inferd_predictions_total"), 60)
        self.assertEqual(grew("inferd_confidence_count"), 60)
        self.assertEqual(grew("inferd_input_tokens_count"), 60)
        self.assertEqual(grew("inferd_input_tokens_sum"), grew("inferd_tokens_total"))
        self.assertEqual(grew("inferd_batch_tokens_sum"), grew("inferd_tokens_total"))
        self.assertEqual(grew("inferd_batch_size_sum"), 60)
        self.assertGreater(grew("inferd_compute_busy_seconds_total"), 0)
        stages = ("parse", "tokenize", "queue", "infer", "serialize", "write")
        for stage in stages:
            self.assertEqual(grew("inferd_stage_duration_seconds_count", stage=stage), 40)
        self.assertAlmostEqual(sum(grew("inferd_stage_duration_seconds_sum", stage=s) for s in stages),
                               grew("inferd_request_duration_seconds_sum", outcome="ok"), places=6)
        self.assertEqual(value(after, "inferd_ready"), 1)
        self.assertGreater(value(after, "inferd_model_load_seconds"), 0)
        self.assertGreaterEqual(value(after, "inferd_connections"), 20)
        self.assertGreater(value(after, "process_open_fds"), value(after, "inferd_connections"))

    def test_request_ids(self):
        for sent, kept in [("abc-1", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ('"x"', False),
                           ("", False), (None, False)]:
            answer = self.ask(post({"text": "a"}, "" if sent is None else f"X-Request-ID: {sent}\r\n"))
            if kept:
                self.assertEqual(answer.headers["x-request-id"], sent)
            else:
                self.assertRegex(answer.headers["x-request-id"], r"\A[0-9a-f]{32}\Z")
        bad = self.ask(post("[", "X-Request-ID: mine\r\n"))
        self.assert_error(bad, 400, "invalid_json")
        self.assertEqual(bad.json["error"]["request_id"], "mine")
        self.assert_error(self.ask(b"no http\r\n\r\n"), 400, "invalid_http")  # made for what is no request, too
        ids = {self.ask(get("/livez")).headers["x-request-id"] for _ in range(50)}
        self.assertEqual(len(ids), 50)

    def test_the_access_log(self):
        self.ask(post({"inputs": ["a", "b c"]}, f"X-Request-ID: log-1\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"))
        self.ask(get("/none?x=1", "X-Request-ID: log-2\r\ntraceparent: 00-short\r\n"))
        s = self.server.connect()
        s.sendall(post({"text": "abc"}, "X-Request-ID: log-3\r\n")[:-3])
        time.sleep(0.2)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        end = time.monotonic() + 30
        while True:
            lines = {e["id"]: e for e in self.server.events("request")}
            if {"log-1", "log-2", "log-3"} <= lines.keys() or time.monotonic() > end:
                break
            time.sleep(0.02)
        one, two, three = (lines[f"log-{i}"] for i in (1, 2, 3))
        self.assertEqual((one["trace"], one["route"], one["status"], one["outcome"], one["inputs"]),
                         (TRACE, "/infer", 200, "ok", 2))
        self.assertGreater(one["tokens"], 4)
        parts = [one[f"{p}_ms"] for p in ("parse", "tokenize", "queue", "infer", "serialize", "write")]
        self.assertTrue(all(p >= 0 for p in parts) and one["infer_ms"] > 0)
        self.assertAlmostEqual(sum(parts), one["ms"], places=3)
        self.assertEqual((two["trace"], two["target"], two["route"], two["status"], two["outcome"]),
                         ("-", "/none?x=1", "other", 404, "client_error"))
        self.assertEqual((three["status"], three["outcome"]), (0, "cancelled"))


class TextEmbeddingsInference(ServerCase):
    """--metrics-compat tei."""
    OPTIONS = ("--metrics-compat", "tei", "--http-threads", "2")
    SAME = {"te_request_duration": ("inferd_request_duration_seconds", {"outcome": "ok"}),
            "te_request_tokenization_duration": ("inferd_stage_duration_seconds", {"stage": "tokenize"}),
            "te_request_queue_duration": ("inferd_stage_duration_seconds", {"stage": "queue"}),
            "te_request_inference_duration": ("inferd_stage_duration_seconds", {"stage": "infer"}),
            "te_request_input_length": ("inferd_input_tokens", {}), "te_batch_next_size": ("inferd_batch_size", {}),
            "te_batch_next_tokens": ("inferd_batch_tokens", {})}

    def test_teis_names_have_our_figures(self):
        sent = {"single": 0, "batch": 0}
        for path, one, more in (("/predict", "a", [["a"], ["b", "c"]]), ("/infer", ["a"], ["a", "b", "c"])):
            for method, inputs, times in (("single", one, 7), ("batch", more, 4)):
                for _ in range(times):
                    self.assertEqual(self.ask(post({"inputs": inputs}, path=path)).status, 200)
                sent[method] += times
        for bad in ("[", {"inputs": 7}):
            self.assertEqual(self.ask(post(bad, path="/predict")).status, 400)
        self.assertEqual(self.ask(get("/none")).status, 404)  # no inference
        end = time.monotonic() + 30
        while True:  # an answer is there an instant before its count
            families = prometheus.parse(self.ask(get("/metrics")).body.decode())
            if value(families, "inferd_requests_in_flight") == 1 or time.monotonic() > end:
                break
        self.assertEqual(differences(DOC.read_text(encoding="utf-8"), families, tei=True), [])
        for method, count in sent.items():
            self.assertEqual(value(families, "te_request_count", method=method), count)
            self.assertEqual(value(families, "te_request_success", method=method), count)
        for err, count in (("validation", 2), ("overloaded", 0), ("inference", 0)):
            self.assertEqual(value(families, "te_request_failure", err=err), count)
        self.assertEqual(value(families, "te_predict_count"), 14 + 8 + 12)
        self.assertEqual(value(families, "te_predict_success"), 14 + 8 + 12)
        self.assertEqual(value(families, "te_queue_size"), 0)
        for name, (ours, labels) in self.SAME.items():
            want = {(n[len(ours):], k) for (n, ls), v in families[ours].samples.items()
                    if set(labels.items()) <= set(ls) for k in [tuple(x for x in ls if x[0] == "le") + (v,)]}
            have = {(n[len(name):], ls + (v,)) for (n, ls), v in families[name].samples.items()}
            self.assertEqual(have, want, name)
            self.assertGreater(value(families, name + "_count"), 0)


class Loading(unittest.TestCase):
    def test_a_scrape_before_the_model(self):
        with tempfile.TemporaryDirectory() as where:
            model = zero_model.make(Path(where) / "large", MODEL, 512, 2048, 4)
            server = Server(model=model, wait_ready=False)
            self.addCleanup(server.close)
            s = server.connect()
            r = Reader(s)
            s.sendall(get("/metrics"))
            families = prometheus.parse(r.answer().body.decode())
            if value(families, "inferd_ready") == 0:  # a fast machine may be done
                self.assertEqual(value(families, "inferd_model_load_seconds"), 0)
                self.assertEqual(families["inferd_model_info"].samples, {})
            server.wait_for("ready")
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
