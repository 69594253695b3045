# SPDX-License-Identifier: Apache-2.0
"""The committed dashboards, and what is wrong with one: the rules that Grafana itself breaks on, or shows nothing by."""

from __future__ import annotations

import json
from pathlib import Path

from door import ROOT

FOLDER = ROOT / "platform/apps/monitoring/config/dashboards"
KINDS = {"row", "timeseries", "stat", "table", "heatmap"}
UNITS = {"short", "reqps", "s", "ms", "percent", "percentunit", "bytes", "celsius", "watt"}
WIDTH = 24


def load() -> dict[str, dict]:
    return {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(FOLDER.glob("*.json"))}


def paths() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


def expressions(board: dict) -> list[tuple[str, str]]:
    """Panel's or annotation's title, and expression."""
    found = [(p["title"], t["expr"]) for p in board["panels"] for t in p.get("targets", [])]
    return found + [(a["name"], a["expr"]) for a in board["annotations"]["list"]]


def substituted(expr: str) -> str:
    """As Grafana would send it, with everything chosen and a short window."""
    return expr.replace("$__rate_interval", "30s").replace("$job", ".+")


def overlaps(a: dict, b: dict) -> bool:
    return a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def faults(board: dict) -> list[str]:
    found = []
    if len(board["uid"]) > 40 or not board["title"] or board["schemaVersion"] < 36:
        found.append("its uid, title or schemaVersion")
    variables = {v["name"] for v in board["templating"]["list"]}
    if "datasource" not in variables:
        found.append("no variable datasource")
    panels = board["panels"]
    ids = [p["id"] for p in panels]
    if len(set(ids)) != len(ids):
        found.append("two panels with one id")
    for i, panel in enumerate(panels):
        name, grid = panel["title"] or "(no title)", panel["gridPos"]
        if not panel["title"]:
            found.append(f"panel {panel['id']} has no title")
        if panel["type"] not in KINDS:
            found.append(f"{name}: no kind {panel['type']}")
        if grid["x"] < 0 or grid["x"] + grid["w"] > WIDTH or grid["w"] <= 0 or grid["h"] <= 0:
            found.append(f"{name}: outside of the {WIDTH} columns")
        found += [f"{name}: lies over {other['title']}" for other in panels[:i] if overlaps(grid, other["gridPos"])]
        if panel["type"] == "row":
            continue
        if panel["datasource"] != {"type": "prometheus", "uid": "$datasource"}:
            found.append(f"{name}: its data source is not the variable")
        defaults = panel["fieldConfig"]["defaults"]
        if defaults["unit"] not in UNITS:
            found.append(f"{name}: no unit {defaults['unit']}")
        steps = [s["value"] for s in defaults["thresholds"]["steps"]]
        if steps[0] is not None or steps[1:] != sorted(steps[1:]):
            found.append(f"{name}: thresholds must begin with null, and rise")
        if not panel["targets"]:
            found.append(f"{name}: no query")
        refs = [t["refId"] for t in panel["targets"]]
        if len(set(refs)) != len(refs):
            found.append(f"{name}: two queries with one refId")
        for target in panel["targets"]:
            if target["datasource"] != panel["datasource"] or target["range"] == target["instant"]:
                found.append(f"{name}: a query's data source, or neither a range nor an instant")
            used = {w for w in ("job", "datasource") if f"${w}" in target["expr"]}
            if used - variables:
                found.append(f"{name}: unknown variable {used - variables}")
    return found
