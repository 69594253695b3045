# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on this machine, with the committed rules, and with the PodMonitors' paths and relabelings on static targets
in place of Kubernetes' service discovery."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alert_rules import RULES
from door import ROOT

MONITORS = ROOT / "platform/apps/monitoring/config/podmonitors.yaml"
STEP = "5s"  # of scrapes and rules; a page of Ray's is a megabyte, and takes its time on a busy machine
PATIENCE_S = 300


@dataclass(frozen=True)
class Target:
    """A scraped address, under a PodMonitor's name; `labels` as Kubernetes' discovery would give them."""

    monitor: str
    address: str
    labels: dict[str, str]


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), name)


def scrape_config(monitor: dict, targets: list[Target]) -> dict:
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

    def relabel(rules: list[dict]) -> list[dict]:
        return [{snake(k): v for k, v in rule.items()} for rule in rules]

    return {"job_name": f"monitoring/{monitor['metadata']['name']}", "metrics_path": endpoint["path"],
            "relabel_configs": relabel(endpoint.get("relabelings", [])), "metric_relabel_configs": relabel(endpoint.get("metricRelabelings", [])),
            "static_configs": [{"targets": [t.address], "labels": t.labels} for t in targets]}


class Prometheus:
    """Runs until close(). Its files are in a folder of its own."""

    def __init__(self, targets: list[Target]):
        self.folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
        monitors = {m["metadata"]["name"]: m for m in yaml.safe_load_all(MONITORS.read_text(encoding="utf-8"))}
        names = sorted({t.monitor for t in targets})
        for path in RULES.glob("*.yaml"):
            groups = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["groups"]
            (self.folder / path.name).write_text(yaml.safe_dump({"groups": [{**g, "interval": STEP} for g in groups]}), encoding="utf-8")
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": STEP, "scrape_timeout": STEP, "evaluation_interval": STEP},
            "rule_files": [str(self.folder / p.name) for p in RULES.glob("*.yaml")],
            "scrape_configs": [scrape_config(monitors[n], [t for t in targets if t.monitor == n]) for n in names]}), encoding="utf-8")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder / 'prometheus.yml'}", f"--storage.tsdb.path={self.folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def ask(self, path: str, **query: str) -> Any:
        """The `data` of an answer. Raises AssertionError with Prometheus' own words when it is an error."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is starting; as a connection that is refused
                raise OSError("prometheus is not ready") from None
            raise AssertionError(f"{query}: {json.load(error).get('error')}") from None

    def query(self, expr: str) -> list[dict]:
        return self.ask("query", query=expr)["result"]

    def wait_for(self, expr: str) -> None:
        """Until the expression gives something. Before it is ready Prometheus refuses connections, and then answers 503."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                if self.query(expr):
                    return
            except OSError:
                assert self.process.poll() is None, f"prometheus did not start: {self.log()}"
            time.sleep(0.5)
        raise AssertionError(f"{expr} gives nothing after {PATIENCE_S} s; prometheus says: {self.log()}")

    def names(self, job: str) -> dict[str, set[str]]:
        """Metric -> labels, of what one job's scrapes have given, after relabeling."""
        found: dict[str, set[str]] = {}
        for series in self.ask("series", **{"match[]": f'{{job="{job}"}}'}):
            found.setdefault(series["__name__"], set()).update(series)
        return found
