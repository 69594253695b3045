# SPDX-License-Identifier: Apache-2.0
"""Grafana dashboards from a few types. Panels are laid out in rows of 24 columns, left to right."""

from __future__ import annotations

from dataclasses import dataclass, field

SOURCE = {"type": "prometheus", "uid": "$datasource"}
SCHEMA_VERSION = 39  # Grafana 10.4 and later read it, and migrate it themselves
WIDTH = 24


@dataclass(frozen=True)
class Query:
    """A PromQL expression. `$job` is the dashboard's choice of back ends, `$__rate_interval` Grafana's window.

    `always`: a scrape of a server that has answered requests must give it data, so the test fails where it is empty.
    """

    expr: str
    legend: str = ""
    always: bool = True
    instant: bool = False

    def target(self, ref: str, format_: str) -> dict:
        return {"refId": ref, "datasource": SOURCE, "expr": self.expr, "legendFormat": self.legend or "__auto",
                "range": not self.instant, "instant": self.instant, "format": format_, "editorMode": "code"}


@dataclass(frozen=True)
class Panel:
    """`kind`: timeseries, stat, table, heatmap. `unit`: Grafana's name of one. `steps`: (from, colour) thresholds."""

    title: str
    queries: tuple[Query, ...]
    description: str = ""
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 7
    stack: bool = False
    minimum: float | None = 0
    maximum: float | None = None
    line: float | None = None  # a limit or target, drawn
    steps: tuple[tuple[float, str], ...] = ()
    log: bool = False

    def defaults(self) -> dict:
        found: dict = {"unit": self.unit, "color": {"mode": "palette-classic"}}
        if self.minimum is not None and not self.log:
            found["min"] = self.minimum
        if self.maximum is not None:
            found["max"] = self.maximum
        if self.kind == "timeseries":
            found["custom"] = {
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if self.stack else 0, "showPoints": "never", "spanNulls": 120_000,
                "stacking": {"mode": "normal" if self.stack else "none", "group": "A"},
                "scaleDistribution": {"type": "log", "log": 10} if self.log else {"type": "linear"},
                "thresholdsStyle": {"mode": "dashed" if self.line is not None else "off"}}
        steps = [(None, "green"), (self.line, "red")] if self.line is not None else [(None, "green")]
        if self.steps:
            steps = [(None, self.steps[0][1]), *self.steps[1:]]
        found["thresholds"] = {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}
        if self.kind == "stat":
            found["color"] = {"mode": "thresholds"}
        return found

    def options(self) -> dict:
        if self.kind == "timeseries":
            return {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
                    "tooltip": {"mode": "multi", "sort": "desc"}}
        if self.kind == "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
                    "graphMode": "area", "textMode": "auto", "justifyMode": "auto", "orientation": "auto", "wideLayout": True,
                    "showPercentChange": False, "percentChangeColorMode": "standard"}
        if self.kind == "heatmap":
            return {"calculate": False, "cellGap": 0, "showValue": "never",
                    "color": {"mode": "scheme", "scheme": "Turbo", "steps": 64, "fill": "dark-orange", "exponent": 0.5, "reverse": False},
                    "exemplars": {"color": "rgba(255,0,255,0.7)"},
                    "yAxis": {"unit": self.unit, "axisPlacement": "left"}, "legend": {"show": True},
                    "tooltip": {"mode": "single", "yHistogram": False}, "rowsFrame": {"layout": "auto"}}
        if self.kind == "table":
            return {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
        raise ValueError(f"panel {self.title!r}: no kind {self.kind!r}")

    def json(self, number: int, x: int, y: int) -> dict:
        format_ = {"heatmap": "heatmap", "table": "table"}.get(self.kind, "time_series")
        found = {"id": number, "type": self.kind, "title": self.title, "description": self.description, "datasource": SOURCE,
                 "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
                 "fieldConfig": {"defaults": self.defaults(), "overrides": []}, "options": self.options(),
                 "targets": [q.target(chr(ord("A") + i), format_) for i, q in enumerate(self.queries)]}
        if self.kind == "table":  # the columns that say something: not the time, nor a constant 1
            found["transformations"] = [{"id": "organize", "options": {
                "excludeByName": {"Time": True, "Value": True, "__name__": True}, "indexByName": {}, "renameByName": {}}}]
        return found


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    jobs: str = "inferd_compute_threads"  # whose label `job` is what can be chosen
    annotations: tuple[tuple[str, str, str], ...] = field(default=())  # name, expression, text

    def panels(self) -> list[Panel]:
        return [p for r in self.rows for p in r.panels]

    def laid_out(self) -> list[dict]:
        found: list[dict] = []
        y = 0
        for row in self.rows:
            found.append({"id": len(found) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": [],
                          "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
            y += 1
            x = tallest = 0
            for panel in row.panels:
                if x + panel.width > WIDTH:
                    x, y, tallest = 0, y + tallest, 0
                found.append(panel.json(len(found) + 1, x, y))
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest
        return found

    def json(self) -> dict:
        query = f"label_values({self.jobs}, job)"
        return {
            "uid": self.uid, "title": self.title, "description": self.description, "tags": ["inferd"], "editable": False,
            "schemaVersion": SCHEMA_VERSION, "version": 1, "timezone": "utc", "refresh": "30s", "graphTooltip": 1, "fiscalYearStartMonth": 0,
            "time": {"from": "now-3h", "to": "now"}, "weekStart": "",
            "templating": {"list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0, "includeAll": False,
                 "multi": False, "current": {"text": "Prometheus", "value": "prometheus"}, "options": [], "refresh": 1, "regex": ""},
                {"name": "job", "label": "Back end", "type": "query", "datasource": SOURCE, "definition": query,
                 "query": {"query": query, "refId": "jobs"}, "includeAll": True, "allValue": ".+", "multi": True, "refresh": 2, "sort": 1,
                 "hide": 0, "current": {"text": ["All"], "value": ["$__all"]}, "options": [], "regex": ""}]},
            "annotations": {"list": [
                {"name": name, "datasource": SOURCE, "enable": True, "hide": False, "iconColor": colour, "expr": expr, "step": "30s",
                 "titleFormat": name, "textFormat": text, "useValueForTime": False}
                for (name, expr, text), colour in zip(self.annotations, ("purple", "red"), strict=True)]},
            "links": [{"type": "dashboards", "title": "inferd", "tags": ["inferd"], "asDropdown": True, "keepTime": True, "includeVars": True,
                       "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
            "panels": self.laid_out(),
        }
