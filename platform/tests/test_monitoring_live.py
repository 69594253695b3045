# SPDX-License-Identifier: Apache-2.0
"""Rules and dashboards on what the servers really say: two C servers and, where .venv/ray is built (scripts/ray-venv.sh), a Ray node,
under load, scraped by a real Prometheus."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from typing import ClassVar

import boards
from alert_rules import Rules
from door import HERE, ROOT
from live_prometheus import Prometheus, Target

for folder in (ROOT / "engine/tests/e2e", ROOT / "platform/monitoring"):
    sys.path.insert(0, str(folder))
os.environ.setdefault("INFERD_BIN", str(ROOT / "build/inferd"))
import catalog  # noqa: E402
import dashboards  # noqa: E402
import promql  # noqa: E402
from harness import Server  # noqa: E402

MODEL = str(ROOT / "models/sst2-minilm-l6")
RAY = ROOT / ".venv/ray/bin/python"
SETTLE_S = 35
TRIES = 3
BODIES = [json.dumps({"inputs": ["a good film", "not a good film"]}).encode(), json.dumps({"text": "w " * 400}).encode(), b"["]
# Labels that Kubernetes' discovery and Prometheus add to every series.
ADDED = {"job", "namespace", "pod", "container", "instance", "endpoint", "service", "alertstate", "alertname", "__name__"}


def recorded() -> dict[str, str]:
    return {n: r["expr"] for n, r in Rules.load().by_name.items() if ":" in n}


def reads(expr: str) -> set[str]:
    """Metrics of exporters that an expression reads, also through recorded series."""
    found: set[str] = set()
    for name in promql.metrics(expr):
        found |= reads(recorded()[name]) if name in recorded() else {name}
    return found


class Live(unittest.TestCase):
    maxDiff = None
    servers: ClassVar[list[Server]]
    prometheus: ClassVar[Prometheus]
    ray: ClassVar[subprocess.Popen | None] = None
    elsewhere: ClassVar[list[str]] = []

    @classmethod
    def setUpClass(cls):
        cls.servers = [Server("--threads", "1", model=MODEL) for _ in range(2)]
        for server in cls.servers:
            cls.addClassCleanup(server.close)
        targets = [Target("inferd", f"127.0.0.1:{s.port}", {"namespace": "inferd", "pod": f"inferd-{i}"}) for i, s in enumerate(cls.servers)]
        cls.over = threading.Event()
        cls.client = threading.Thread(target=cls.load)
        cls.client.start()
        cls.addClassCleanup(lambda: (cls.over.set(), cls.client.join()))
        if RAY.exists():
            for _ in range(TRIES):  # a machine that stands still for a minute makes Ray's start time out
                log = tempfile.TemporaryFile("w+")
                cls.addClassCleanup(log.close)
                cls.ray = subprocess.Popen([str(RAY), str(HERE / "ray_target.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
                line = cls.ray.stdout.readline()
                if line:
                    break
                cls.end_ray()
                log.seek(0)
                said = log.read()[-2000:]
            assert line, f"Ray did not start:\n{said}"
            cls.addClassCleanup(cls.end_ray)
            said = json.loads(line)
            cls.elsewhere = said["elsewhere"]
            targets.append(Target("ray", said["metrics"], {"namespace": "ray", "pod": "worker-0"}))
        else:
            print("NOT RUN: a Ray node (scripts/ray-venv.sh builds its environment)")
        cls.prometheus = Prometheus(targets)
        cls.addClassCleanup(cls.prometheus.close)
        for job in cls.jobs():
            cls.prometheus.wait_for(f'job:inferd_latency_budget:remaining_30d{{job="{job}"}}')
        time.sleep(SETTLE_S)  # the shortest window of a dashboard

    @classmethod
    def end_ray(cls):
        cls.ray.stdin.close()
        try:
            cls.ray.wait(120)
        except subprocess.TimeoutExpired:
            cls.ray.kill()
            cls.ray.wait()
        cls.ray.stdout.close()

    @classmethod
    def jobs(cls) -> list[str]:
        return ["inferd", "ray"] if cls.ray else ["inferd"]

    @classmethod
    def load(cls):
        """A little of everything, at a rate that leaves the servers idle."""
        while not cls.over.wait(0.05):
            for server in cls.servers:
                for body in BODIES:
                    try:
                        urllib.request.urlopen(urllib.request.Request(
                            f"http://127.0.0.1:{server.port}/infer", body, {"Content-Type": "application/json"}), timeout=30).read()
                    except (urllib.error.URLError, OSError):
                        pass

    def queries(self) -> list[tuple[str, str]]:
        return [(f"{name}: {title}", boards.substituted(e)) for name, b in boards.load().items() for title, e in boards.expressions(b)]

    def test_every_metric_is_in_a_scrape_or_in_the_catalogue(self):
        scraped = set().union(*(self.prometheus.names(job) for job in self.jobs()))
        known = scraped | recorded().keys() | catalog.LISTED | catalog.BUILT_IN
        if not self.ray:
            known |= {n for n in self.all_names() if n.startswith("ray_")}
        self.assertEqual(self.all_names() - known, set())
        self.assertEqual(catalog.LISTED & scraped, set(), "listed as not run here, but scraped")
        self.assertGreater(len(scraped), 60)
        # the control: a name that is one letter off is known nowhere
        self.assertNotIn("inferd_saturation_ration", known)

    def all_names(self) -> set[str]:
        exprs = [r["expr"] for r in Rules.load().by_name.values()] + [e for _, e in self.queries()]
        return {n for e in exprs for n in promql.metrics(e)}

    def test_every_selected_label_is_one_that_the_metric_has(self):
        has: dict[str, set[str]] = {}
        for job in self.jobs():
            for name, labels in self.prometheus.names(job).items():
                has.setdefault(name, set()).update(labels)
        exprs = [r["expr"] for r in Rules.load().by_name.values()] + [e for _, e in self.queries()]
        chosen = [(s, label) for e in exprs for s in promql.selectors(e) if s.metric in has for label, _, _ in s.labels]
        self.assertGreater(len(chosen), 80)
        self.assertEqual([f"{s.metric}{{{label}}}" for s, label in chosen if label not in has[s.metric] | ADDED], [])

    def test_ray_has_the_names_that_are_listed_as_its_own(self):
        if not self.ray:
            self.skipTest("no Ray")
        listed = catalog.EXPORTERS["Ray's autoscaler"].names | catalog.EXPORTERS["a Ray node with a GPU"].names
        self.assertEqual(listed - set(self.elsewhere), set())

    def test_rules_evaluate_and_nothing_is_alerted_on(self):
        groups = self.prometheus.ask("rules")["groups"]
        rules = [r for g in groups for r in g["rules"]]
        self.assertEqual(len(rules), len(Rules.load().by_name))
        self.assertEqual([(r["name"], r.get("lastError")) for r in rules if r["health"] != "ok"], [])
        # Nothing fires or is about to but the model that the test made Ray refuse, and what a busy machine is rightly blamed for.
        alerted = {a["labels"]["alertname"] for a in self.prometheus.ask("alerts")["alerts"]}
        slow = {n for n in alerted if n.startswith("InferdLatency") or n == "InferdSaturated"}
        self.assertEqual(alerted - slow, {"InferdReloadRefused"} if self.ray else set())

    def test_every_recorded_series_has_a_value_for_each_back_end(self):
        for name in recorded():
            have = {r["metric"].get("job") for r in self.prometheus.query(name)}
            self.assertEqual(have, set(self.jobs()), name)

    def test_every_panel_has_data_where_it_must(self):
        """And the C server is named where Ray lacks something, and nowhere else."""
        ray = self.prometheus.names("ray").keys() if self.ray else set()
        c = self.prometheus.names("inferd").keys()
        empty, wrong, filled = [], [], 0
        for board in dashboards.ALL:
            for row in board.rows:
                for panel in row.panels:
                    where = f"{board.uid}: {panel.title}"
                    for query in panel.queries:
                        result = self.prometheus.query(boards.substituted(query.expr))
                        needs = reads(boards.substituted(query.expr))
                        possible = self.ray or not any(n.startswith("ray_") or 'job="ray"' in query.expr for n in needs)
                        filled += bool(result)
                        shared = not needs - ray and 'job="' not in query.expr and "job" in query.legend
                        if shared and {r["metric"].get("job") for r in result} != set(self.jobs()):
                            empty.append(f"{where}: not for both back ends: {query.expr}")
                        if query.always and possible and not any(math.isfinite(float(r["value"][1])) for r in result):
                            empty.append(f"{where}: {query.expr}")
                        if not query.always and result and not needs & {"ALERTS", "inferd_shadow_inputs_total"}:
                            wrong.append(f"{where}: has data, so it may be said that it always must")
                    ours = {n for q in panel.queries for n in reads(boards.substituted(q.expr)) if n.startswith(("inferd_", "process_"))}
                    if self.ray and ours:
                        says = "C server" in panel.description + row.title
                        alone = sorted(ours - ray) or [q.expr for q in panel.queries if 'job="inferd"' in q.expr]
                        if says != bool(alone):
                            wrong.append(f"{where}: says that the C server has something alone: {says}; what Ray lacks: {alone}")
                    self.assertEqual(ours - c, set(), where)
        self.assertEqual(empty, [])
        self.assertEqual(wrong, [])
        self.assertGreater(filled, 50)

    def test_ray_says_which_model_serves_long_after_it_was_loaded(self):
        if not self.ray:
            self.skipTest("no Ray")
        self.assertEqual(len(self.prometheus.query('inferd_model_info{job="ray"} == 1')), 1)

    def test_annotations_and_raw_queries_are_accepted(self):
        for where, expr in self.queries():
            with self.subTest(where):
                self.prometheus.query(expr)
        with self.assertRaises(AssertionError):
            self.prometheus.query("sum(")
        self.assertEqual(self.prometheus.query("inferd_no_such_thing"), [])

    def test_the_relabeling_is_what_makes_both_one(self):
        """The control: without it Ray's series keep their prefix, and the rules would see nothing of Ray."""
        if not self.ray:
            self.skipTest("no Ray")
        (address,) = {t["labels"]["instance"] for t in self.prometheus.ask("targets")["activeTargets"] if t["labels"]["job"] == "ray"}
        page = urllib.request.urlopen(f"http://{address}/metrics", timeout=30).read().decode()
        self.assertIn("\nray_inferd_requests_total{", page)
        self.assertNotIn("\ninferd_requests_total{", page)
        self.assertIn("inferd_requests_total", self.prometheus.names("ray"))


if __name__ == "__main__":
    unittest.main()
