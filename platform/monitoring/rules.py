# SPDX-License-Identifier: Apache-2.0
"""Recording rules, alerts, and the PrometheusRule objects that hold them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

# Filled in by Flux from the ConfigMap cluster-vars, so that no fork's owner is in a committed file.
RUNBOOKS = "https://github.com/${GITHUB_OWNER:=inferd}/${GITHUB_REPO:=inferd}/blob/${GIT_BRANCH:=main}/docs/runbooks/alerts.md"
NAMESPACES = "inferd|ray"


def tidy(expr: str) -> str:
    return textwrap.dedent(expr).strip()


@dataclass(frozen=True)
class Record:
    """A recording rule, named level:metric:operations as Prometheus' conventions ask."""

    name: str
    expr: str

    def rule(self) -> dict:
        return {"record": self.name, "expr": tidy(self.expr)}


@dataclass(frozen=True)
class Alert:
    """`summary` and `description` are Prometheus templates. Each alert has a section of its name in the runbook."""

    name: str
    severity: str  # page: somebody gets up; ticket: in working hours
    expr: str
    wait: str  # how long the expression holds before it fires
    summary: str
    description: str
    labels: dict[str, str] = field(default_factory=dict)

    def rule(self) -> dict:
        if self.severity not in ("page", "ticket"):
            raise ValueError(f"{self.name}: severity is {self.severity!r}; it must be page or ticket")
        return {
            "alert": self.name,
            "expr": tidy(self.expr),
            **({"for": self.wait} if self.wait != "0s" else {}),
            "labels": {"severity": self.severity, "service": "inferd", **self.labels},
            "annotations": {"summary": self.summary, "description": tidy(self.description),
                            "runbook_url": f"{RUNBOOKS}#{self.name.lower()}"},
        }


@dataclass(frozen=True)
class Group:
    name: str
    rules: tuple[Record | Alert, ...]
    interval: str = "30s"

    def body(self) -> dict:
        return {"name": self.name, "interval": self.interval, "rules": [r.rule() for r in self.rules]}


def prometheus_rule(name: str, groups: list[Group]) -> dict:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "inferd"}},
        "spec": {"groups": [g.body() for g in groups]},
    }


def grew(metric: str, window: str, by: str, where: str = "") -> str:
    """Counters that rose within the window, also those whose first sample is not 0: Ray has no series of a
    counter until it counts, so increase() alone would miss the first event."""
    series = f"{metric}{{{where}}}" if where else metric
    return tidy(f"""
        sum by ({by}) (
          increase({series}[{window}]) > 0
          or
          ({series} > 0 unless {metric} offset {window})
        ) > 0
        """)
