# SPDX-License-Identifier: Apache-2.0
"""Dashboards and rules are what platform/monitoring gives, well formed, and find their way to Grafana and Prometheus."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import boards
import yaml
from alert_rules import RULES, Rules
from door import ROOT

SOURCE = ROOT / "platform/monitoring"
CONFIG = ROOT / "platform/apps/monitoring/config"
sys.path.insert(0, str(SOURCE))
import catalog  # noqa: E402
import promql  # noqa: E402


def expressions() -> list[str]:
    """Of all rules and dashboards."""
    found = [r["expr"] for r in Rules.load().by_name.values()]
    return found + [boards.substituted(e) for b in boards.load().values() for _, e in boards.expressions(b)]


class Generated(unittest.TestCase):
    def test_files_are_what_the_source_gives(self):
        done = subprocess.run([sys.executable, str(SOURCE), "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_changed_file_is_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "platform"
            shutil.copytree(SOURCE, root / "monitoring")
            shutil.copytree(CONFIG.parent, root / "apps/monitoring")
            target = root / "apps/monitoring/config/rules/alerts.yaml"
            target.write_text(target.read_text().replace("> 0.5", "> 0.6"))
            done = subprocess.run([sys.executable, str(root / "monitoring"), "--check"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("rules/alerts.yaml; run: make monitoring", done.stderr)

    def test_flux_substitutes_only_what_is_meant(self):
        """Flux replaces ${...}, and turns $$ into $: neither may come from PromQL, a template or Grafana."""
        for path in [*(CONFIG / "rules").glob("*.yaml"), CONFIG / "podmonitors.yaml", *boards.paths()]:
            text = path.read_text(encoding="utf-8")
            self.assertEqual(set(re.findall(r"\$\{(\w+)[^}]*\}", text)) - {"GITHUB_OWNER", "GITHUB_REPO", "GIT_BRANCH"}, set(), path.name)
            self.assertNotIn("$$", text, path.name)
        for default in re.findall(r"\$\{\w+([^}]*)\}", (CONFIG / "rules/alerts.yaml").read_text(encoding="utf-8")):
            self.assertRegex(default, r"^:=\w+$", "clusters that do not set the variable must get a default")


class Boards(unittest.TestCase):
    def test_well_formed(self):
        found = boards.load()
        self.assertEqual(sorted(found), ["inferd-gpu", "inferd-queue", "inferd-red", "inferd-rollout", "inferd-scaling"])
        for name, board in found.items():
            self.assertEqual(board["uid"], name)
            self.assertEqual(boards.faults(board), [], name)

    def test_malformed_ones_are_noticed(self):
        def broken(change) -> list[str]:
            board = copy.deepcopy(boards.load()["inferd-red"])
            panel = next(p for p in board["panels"] if p["type"] == "timeseries")
            change(board, panel)
            return boards.faults(board)

        def put(where: str, value):
            def change(board, panel):
                *way, last = where.split(".")
                place = panel
                for step in way:
                    place = place[int(step) if step.isdigit() else step]
                place[last] = value
            return change

        for change in (put("gridPos.x", 20), put("gridPos.h", 30), put("type", "graph"), put("title", ""), put("id", 1), put("targets", []),
                       put("fieldConfig.defaults.unit", "seconds"), put("datasource", {"type": "prometheus", "uid": "prometheus"}),
                       put("targets.0.instant", True), put("fieldConfig.defaults.thresholds.steps", [{"value": 1, "color": "red"}]),
                       lambda board, panel: board["templating"]["list"].clear(), lambda board, panel: panel["targets"].append(panel["targets"][0])):
            self.assertNotEqual(broken(change), [])

    def test_grafana_finds_each(self):
        """By its label, in the namespace where the chart's sidecar looks."""
        kustomization = yaml.safe_load((CONFIG / "kustomization.yaml").read_text(encoding="utf-8"))
        values = yaml.safe_load((CONFIG.parent / "release.yaml").read_text(encoding="utf-8"))["spec"]["values"]
        listed = [f for c in kustomization["configMapGenerator"] for f in c["files"]]
        self.assertEqual(sorted(listed), [f"dashboards/{p.name}" for p in boards.paths()])
        self.assertEqual(kustomization["generatorOptions"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(values["grafana"]["sidecar"]["dashboards"]["searchNamespace"], kustomization["namespace"])
        for path in boards.paths():
            self.assertLess(path.stat().st_size, 900_000, "a ConfigMap holds 1 MiB")


APPS = CONFIG.parents[1]


def documents(folder: Path) -> list[dict]:
    return [d for p in sorted(folder.rglob("*.yaml")) for d in yaml.safe_load_all(p.read_text(encoding="utf-8")) if isinstance(d, dict)]


def containers(template: dict) -> list[dict]:
    return template["spec"]["containers"]


class Scrapes(unittest.TestCase):
    """What the PodMonitors select is what the applications beside them have."""

    def setUp(self):
        self.monitors = {m["metadata"]["name"]: m["spec"] for m in yaml.safe_load_all((CONFIG / "podmonitors.yaml").read_text(encoding="utf-8"))}

    def port(self, monitor: str) -> str:
        (endpoint,) = self.monitors[monitor]["podMetricsEndpoints"]
        return endpoint["port"]

    def test_jobs_are_those_that_alerts_and_panels_select(self):
        jobs = {r["replacement"] for m in self.monitors.values() for e in m["podMetricsEndpoints"] for r in e["relabelings"] if r["targetLabel"] == "job"}
        self.assertEqual(jobs, set(self.monitors))
        selected = set()
        for expr in expressions():
            for selector in promql.selectors(expr):
                selected |= {v for label, op, value in selector.labels if label == "job" and value != ".+" for v in value.split("|")}
        self.assertEqual(selected - jobs, set())
        self.assertGreaterEqual(selected, {"inferd", "ray", "ray-autoscaler", "kuberay", "envoy"})

    @unittest.skipUnless((APPS / "inferd").exists(), "no platform/apps/inferd")
    def test_the_c_servers_pods(self):
        (deployment,) = [d for d in documents(APPS / "inferd/base") if d["kind"] == "Deployment"]
        template = deployment["spec"]["template"]
        for label, value in self.monitors["inferd"]["selector"]["matchLabels"].items():
            self.assertEqual(template["metadata"]["labels"].get(label), value)
        self.assertIn(self.port("inferd"), [p["name"] for c in containers(template) for p in c["ports"]])
        self.assertEqual(self.monitors["inferd"]["namespaceSelector"]["matchNames"], ["inferd"])

    @unittest.skipUnless((APPS / "ray").exists(), "no platform/apps/ray")
    def test_rays_pods(self):
        (service,) = [d for d in documents(APPS / "ray/base") if d["kind"] == "RayService"]
        cluster = service["spec"]["rayClusterConfig"]
        for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
            self.assertIn(self.port("ray"), [p["name"] for p in containers(group["template"])[0]["ports"]])
        self.assertEqual(service["metadata"]["name"], "inferd")

    @unittest.skipUnless((APPS / "inferd").exists(), "no platform/apps/inferd")
    def test_prometheus_is_where_the_autoscaler_asks(self):
        release = yaml.safe_load((CONFIG.parent / "release.yaml").read_text(encoding="utf-8"))["spec"]
        (scaled,) = [d for d in documents(APPS / "inferd/base") if d["kind"] == "ScaledObject"]
        (trigger,) = scaled["spec"]["triggers"]
        self.assertEqual(trigger["metadata"]["serverAddress"], f"http://{release['releaseName']}-prometheus.monitoring.svc:9090")
        self.assertEqual(promql.metrics(trigger["metadata"]["query"]), {"inferd_saturation_ratio"})

    @unittest.skipUnless((APPS / "policies").exists(), "no platform/apps/policies")
    def test_the_scraped_let_prometheus_in(self):
        """Each namespace that is scraped and denies by default has a policy for monitoring, on that port."""
        policies = [d for d in documents(APPS) if d["kind"] == "NetworkPolicy" and d["metadata"].get("namespace") != "monitoring"]
        text = [yaml.safe_dump(p) for p in policies]
        for needed in ("port: http", "port: metrics", "port: 44217", "port: 19001"):
            self.assertTrue(any("kubernetes.io/metadata.name: monitoring" in t or "- monitoring" in t for t in text if needed in t), needed)


class Alertmanager(unittest.TestCase):
    def setUp(self):
        values = yaml.safe_load((CONFIG.parent / "release.yaml").read_text(encoding="utf-8"))["spec"]["values"]
        self.config = values["alertmanager"]["config"]

    def amtool(self, config: dict, *argv: str) -> subprocess.CompletedProcess:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(config, file)
            file.flush()
            command = ["amtool", "check-config", file.name] if not argv else ["amtool", "config", "routes", "test", f"--config.file={file.name}", *argv]
            return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_its_configuration_is_one(self):
        done = self.amtool(self.config)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        broken = copy.deepcopy(self.config)
        broken["route"]["receiver"] = "nobody"
        self.assertNotEqual(self.amtool(broken).returncode, 0)

    def test_every_alert_finds_a_receiver(self):
        names = [r["name"] for r in self.config["receivers"]]
        for labels in ("alertname=Watchdog", "alertname=InferdFaults severity=ticket job=ray"):
            done = self.amtool(self.config, *labels.split())
            self.assertIn(done.stdout.strip(), names, done.stderr)

    def test_what_is_silenced_by_what_exists(self):
        """Names in inhibition rules are alerts of ours, or the chart's InfoInhibitor."""
        alerts = [*Rules.load().alerts(), "InfoInhibitor"]
        found = 0
        for rule in self.config["inhibit_rules"]:
            for matcher in rule.get("source_matchers", []) + rule["target_matchers"]:
                m = re.fullmatch(r'alertname =(~?) "(.+)"', matcher)
                for pattern in m[2].split("|") if m else []:
                    found += 1
                    self.assertTrue(any(re.fullmatch(pattern, a) for a in alerts), pattern)
        self.assertGreater(found, 5)


class Expressions(unittest.TestCase):
    def test_promtool_parses_each(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "all.yaml"

            def check(exprs: list[str]) -> subprocess.CompletedProcess:
                path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": [{"record": f"x:y{i}", "expr": e} for i, e in enumerate(exprs)]}]}))
                return subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)

            exprs = expressions()
            done = check(exprs)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(f"{len(exprs)} rules found", done.stdout)
            self.assertNotEqual(check([*exprs, "sum by (job (up)"]).returncode, 0)
        self.assertGreater(len(exprs), 150)

    def test_lint(self):
        for path in sorted(RULES.glob("*.yaml")):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as plain:
                yaml.safe_dump({"groups": yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["groups"]}, plain)
                plain.flush()
                done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", plain.name], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_names_are_read_off_as_written(self):
        for expr, want in {
            'sum by (job, le) (rate(a_bucket{x="y{z}", w=~"b|c"}[5m] offset 1h)) / ignoring (kind) group_left (q) b:c > bool 0.5e3': {"a_bucket", "b:c"},
            "histogram_quantile(0.99, sum(rate(x_bucket[1m:10s])) without (a, b))": {"x_bucket"},
            "a unless b and on () c or absent(d) * 2": {"a", "b", "c", "d"},
            "count by (digest) (inferd_model_info == 1) > 1": {"inferd_model_info"},
            "time() - start_time": {"start_time"},
        }.items():
            self.assertEqual(promql.metrics(expr), want, expr)
        self.assertEqual(promql.selectors('a{b="c", d!~"e"} > f')[0].labels, (("b", "=", "c"), ("d", "!~", "e")))

    def test_the_catalogue_lists_what_is_used_and_nothing_else(self):
        used = {name for e in expressions() for name in promql.metrics(e)}
        self.assertEqual(catalog.LISTED - used, frozenset(), "listed, and used nowhere")
        recorded = {n for n in Rules.load().by_name if ":" in n}
        foreign = {n for n in used - recorded - catalog.LISTED - catalog.BUILT_IN if not n.startswith(("inferd_", "process_", "ray_"))}
        self.assertEqual(foreign, set(), "of no exporter that is known")

    def test_recorded_series_are_used(self):
        used = {name for e in expressions() for name in promql.metrics(e)}
        self.assertEqual({n for n in Rules.load().by_name if ":" in n} - used, set())


if __name__ == "__main__":
    unittest.main()
