# SPDX-License-Identifier: Apache-2.0
"""Every k6 scenario on a server that behaves, and on servers that do not: each fault must make k6 fail (exit 99) and be
counted by its kind. INFERD_TOOLS_BIN is the folder of k6."""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from door import ROOT

K6 = Path(os.environ.get("INFERD_TOOLS_BIN") or Path.home() / ".cache/inferd/tools/bin") / "k6"
LEARNING = 8  # requests that setup() makes before the load, with the eight phrases; mixed.js is told to keep as many
SHORT = {"STAGE": "1s", "SECONDS": "2", "MINUTES": "0.17", "RATE": "20", "TIMES": "3", "STEPS": "2", "FIRST": "10",
         "RECOVERY_SECONDS": "1", "SENTENCES": str(LEARNING), "P95_MS": "400"}
MISSED = 99
SCENARIOS = ("smoke", "spike", "soak", "saturation", "rollout", "mixed")


class Fake(ThreadingHTTPServer):
    """Answers as inferd does, labels by the text. `fault` is what it does from the LEARNING-th request on, to one
    request of ten."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fault: str = "", key: str = ""):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault, self.key, self.seen, self.lock = fault, key, 0, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def strikes(self) -> bool:
        with self.lock:
            self.seen += 1
            return bool(self.fault) and self.seen > LEARNING and self.seen % 10 == 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/infer"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
            return self.reply(401, {"error": "no key"})
        results = []
        for text in texts:
            chance = random.Random(text)
            results.append({"label": chance.choice(("POSITIVE", "NEGATIVE")), "confidence": 0.5 + 0.5 * chance.random()})
        fault = self.server.fault if self.server.strikes() else ""
        if fault == "order":
            results = results[1:] + [{"label": "POSITIVE", "confidence": 0.1}]
        elif fault == "count":
            results = results[:-1]
        elif fault == "label":
            results = [{**r, "label": {"POSITIVE": "NEGATIVE", "NEGATIVE": "POSITIVE"}[r["label"]]} for r in results]
        elif fault == "reset":
            self.close_connection = True
            return None
        elif fault == "slow":
            time.sleep(1)
        elif fault.isdigit():
            return self.reply(int(fault), {"error": fault})
        return self.reply(200, results)


class Scenarios(unittest.TestCase):
    def k6(self, scenario: str, server: Fake, **environ: str) -> tuple[int, dict, str]:
        with tempfile.TemporaryDirectory() as d:
            out = Path(d) / "summary.json"
            run = subprocess.run([str(K6), "run", "--quiet", "--no-usage-report", str(ROOT / "k6" / f"{scenario}.js")],
                                 env={"PATH": os.environ["PATH"], "HOME": d, **SHORT, "INFER_URL": server.url,
                                      "OUT": str(out), **environ}, capture_output=True, text=True, check=False)
            metrics = json.loads(out.read_text())["metrics"] if out.exists() else {}
        server.shutdown()
        server.server_close()
        return run.returncode, {n: m["values"].get("count") for n, m in metrics.items()}, run.stdout + run.stderr

    def each(self, cases, run):
        """run(case) of all cases side by side, as most of a run is waiting; yields each with its result."""
        with ThreadPoolExecutor(8) as pool:
            yield from zip(cases, pool.map(run, cases))

    def test_each_scenario_passes_on_a_server_that_behaves(self):
        # a busy machine is not the scenario's fault
        for scenario, (code, counts, text) in self.each(SCENARIOS, lambda s: self.k6(s, Fake(), P95_MS="5000")):
            with self.subTest(scenario):
                self.assertEqual(code, 0, text)
                self.assertGreater(counts["http_reqs"], LEARNING + 15)
                self.assertFalse(counts.get("failed_body"))

    def test_each_fault_fails_the_run_and_is_counted_by_its_kind(self):
        faults = (("order", "body"), ("count", "body"), ("label", "body"), ("500", "server"), ("503", "refused"),
                  ("429", "refused"), ("400", "client"), ("reset", "connection"))
        for (fault, kind), (code, counts, text) in self.each(faults, lambda f: self.k6("smoke", Fake(f[0]), P95_MS="5000")):
            with self.subTest(fault):
                self.assertEqual(code, MISSED, text)
                self.assertGreater(counts[f"failed_{kind}"], 0, text)
                others = {n for n, c in counts.items() if n.startswith("failed_") and c and n != f"failed_{kind}"}
                self.assertEqual(others, set(), text)

    def test_each_scenario_fails_on_wrong_answers(self):
        for scenario, (code, counts, text) in self.each(SCENARIOS[1:], lambda s: self.k6(s, Fake("label"), P95_MS="5000")):
            with self.subTest(scenario):
                self.assertEqual(code, MISSED, text)
                self.assertGreater(counts["failed_body"], 0)

    def test_a_slow_server_misses_the_threshold_on_latency(self):
        code, _, text = self.k6("smoke", Fake("slow"), FAILED_RATE="1", P95_MS="300")
        self.assertEqual(code, MISSED, text)
        self.assertIn("MISSED http_req_duration p(95)<300", text)

    def test_saturation_ends_at_the_step_that_does_not_hold(self):
        code, counts, text = self.k6("saturation", Fake("500"), STEPS="6")
        self.assertEqual(code, MISSED, text)
        self.assertLess(counts["http_reqs"], LEARNING + 100)  # all six steps would be 1,260

    def test_a_retry_hides_from_the_user_what_the_server_lost(self):
        code, counts, text = self.k6("rollout", Fake("503"), RETRIES="1", FAILED_RATE="1")
        self.assertEqual(code, 0, text)
        self.assertGreater(counts["failed_refused"], 0)
        code, counts, text = self.k6("rollout", Fake("503"), FAILED_RATE="1")
        self.assertEqual(code, MISSED, text)
        self.assertGreater(counts["lost"], 0)

    def test_the_key_is_sent(self):
        self.assertEqual(self.k6("smoke", Fake(key="k-1"), INFER_API_KEY="k-1", P95_MS="5000")[0], 0)
        code, _, text = self.k6("smoke", Fake(key="k-1"))
        self.assertNotEqual(code, 0)
        self.assertIn("HTTP 401", text)

    def test_the_summary_comes_between_markers(self):
        code, _, text = self.k6("smoke", Fake(), MARKERS="1", P95_MS="5000")
        self.assertEqual(code, 0)
        inside = text.split("-----BEGIN K6 SUMMARY-----\n")[1].split("\n-----END K6 SUMMARY-----")[0]
        self.assertIn("http_req_duration", json.loads(inside)["metrics"])

    def test_wrong_settings_are_refused_by_name(self):
        for name, value in (("PROFILE", "sideways"), ("P95_MS", "soon")):
            code, _, text = self.k6("smoke", Fake(), **{name: value})
            self.assertNotEqual(code, 0)
            self.assertIn(f"{name} is {value}", text)


if __name__ == "__main__":
    unittest.main()
