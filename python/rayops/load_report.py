# SPDX-License-Identifier: Apache-2.0
"""The page of a load run: tables.md, three kinds of plots, and index.html which shows them all.

    python load_report.py k6/results     # again, from its results.json
"""

from __future__ import annotations

import csv
import html
import json
import sys
from pathlib import Path
from typing import Any

from local import ROOT
from systems import NAMES

PRICES = ROOT / "platform" / "prices.json"
REGION, MACHINE, VCPUS = "europe-west4", "n2-standard-4", 4
MODELS = {"distilbert": "DistilBERT size (66 M, random weights)", "default": "the bundled model (MiniLM-L6, 22 M)"}
# what the showcase published of itself, on GKE with one T4: its README, "Results & summary"
PUBLISHED = {"external": ("up to 60", "15.09", "14,650", "4,740", "16.79", "many"),
             "internal": ("5 to 15", "7.66", "149", "67.8", "0.22", "not given")}
TARGETS = {"external": "up to 60", "internal": "5 to 15"}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(r) + " |" for r in rows), ""]


def ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def ramps(results: dict[str, Any], profile: str) -> list[str]:
    rows = [["the showcase, as published (GKE, T4)", "DistilBERT", "", *PUBLISHED[profile]]]
    for model, systems in results["models"].items():
        for name, found in systems.items():
            r = found.get("ramps", {}).get(profile)
            if r:
                lost = r["failed"] + r["wrong"]
                rows.append([NAMES[name], model, r["stage"], TARGETS[profile], f"{r['per_s']:.2f}", ms(r["p95_ms"]),
                             ms(r["avg_ms"]), f"{100 * lost / r['requests']:.2f} ({lost} of {r['requests']:,})",
                             f"{r['dropped']:,}"])
    return table(["system", "model", "stage", "target req/s", "effective req/s", "p95 ms", "average ms", "errors %",
                  "dropped"], rows)


def saturations(results: dict[str, Any]) -> list[str]:
    rows = []
    for model, systems in results["models"].items():
        for name, found in systems.items():
            if "saturation" not in found:
                continue
            best = found["saturation"]["best"]
            if not best:
                rows.append([NAMES[name], model, "none", "", "", "", ""])
                continue
            cpu = ", ".join(f"{k} {v:.2f}" for k, v in best["cpu_ms_per_request"].items() if v >= 0.005)
            rows.append([NAMES[name], model, f"{best['rate']:,.0f}", ms(best["p50_ms"]), ms(best["p95_ms"]),
                         ms(best["p99_ms"]), cpu])
    return table(["system", "model", "highest req/s that holds", "p50 ms", "p95 ms", "p99 ms",
                  "processor ms a request, by process"], rows)


def costs(results: dict[str, Any]) -> tuple[list[str], str]:
    prices = json.loads(PRICES.read_text(encoding="utf-8"))
    price = prices["regions"][REGION][MACHINE]
    cores = results["machine"]["cores"]
    rows = []
    for model, systems in results["models"].items():
        for name, found in systems.items():
            rate = (found.get("saturation") or {}).get("rate")
            if rate:
                dollars = [price[kind] * cores / VCPUS / (rate * 3600) * 1e6 for kind in ("on_demand", "spot")]
                rows.append([NAMES[name], model, f"{rate:,.0f}", *(f"{d:.3f}" if d < 1 else f"{d:.2f}" for d in dollars)])
    note = (f"An estimate: the measured rate of {cores} cores, at the list price of {cores} of the {VCPUS} vCPUs of an "
            f"{MACHINE} in {REGION} ({prices['date']}: {price['on_demand']} on demand, {price['spot']} spot, "
            f"{prices['currency']} an hour for the machine; {prices['source']}). Not in it: the cluster's fee, load balancer, "
            "traffic, head room. The cores that were measured are not that machine's, and had the load generator on them too.")
    return table(["system", "model", "req/s", "$ a million requests, on demand", "spot"], rows), note


def tables(results: dict[str, Any]) -> str:
    m = results["machine"]
    cost, note = costs(results)
    lines = [f"{m['cores']} cores of {m['cpu']}, tier {m['inferd']['tier']}, inferd {m['inferd']['version']}, Ray {m['ray']}, "
             f"{m['date']}. Load generator and server share the cores. Two phrases of two or three words a request.", ""]
    for profile in ("external", "internal"):
        lines += [f"### The showcase's {profile} ramp", "", *ramps(results, profile)]
    lines += ["### Saturation", "", f"Open loop, two phrases a request: the highest constant rate with p95 below "
              f"{results['goal_p95_ms']:.0f} ms since each request was due, and none refused, failed or wrong.", "",
              *saturations(results), "### Cost", "", *cost, note, ""]
    return "\n".join(lines)


def replicas_figure(rows: list[tuple[float, float, int]]) -> Any:
    """Rows of seconds, offered requests a second, running replicas: autoscale.py's, over time."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, load = plt.subplots(figsize=(9, 3.2))
    replicas = load.twinx()
    at = [r[0] for r in rows]
    load.fill_between(at, [r[1] for r in rows], step="post", alpha=0.3, label="offered requests a second")
    replicas.step(at, [r[2] for r in rows], "C1", where="post", label="running replicas")
    replicas.set(ylabel="running replicas", ylim=(0, max(r[2] for r in rows) + 1))
    load.set(xlabel="seconds", ylabel="offered requests a second")
    figure.legend(loc="upper right", fontsize=8)
    return figure


def draw(results: dict[str, Any], out: Path) -> list[tuple[str, str]]:
    """Plots as SVG files: (name, title)."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "inferd", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    colours = dict(zip(NAMES, ("tab:gray", "tab:orange", "tab:cyan", "tab:blue", "tab:purple", "black", "tab:green")))
    made = []

    def save(figure: Any, name: str, title: str) -> None:
        figure.tight_layout()
        figure.savefig(out / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
        made.append((name, title))

    for model, systems in results["models"].items():
        for profile in ("external", "internal"):
            shown = {n: f["ramps"][profile] for n, f in systems.items() if profile in f.get("ramps", {})}
            if not shown:
                continue
            figure, (latency, rate) = plt.subplots(2, 1, figsize=(9, 5.6), sharex=True, height_ratios=(2, 1))
            for name, r in shown.items():
                at = [b["s"] for b in r["series"]]
                latency.plot(at, [b["p95_ms"] for b in r["series"]], color=colours[name], label=NAMES[name])
                rate.plot(at, [(b["requests"] - b["failed"]) / 5 for b in r["series"]], color=colours[name])
            latency.set(yscale="log", ylabel="p95 of 5 s, ms")
            latency.axhline(800, color="grey", linestyle=":", linewidth=1)
            latency.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
            rate.set(xlabel="seconds since the start of the ramp", ylabel="answered a second")
            save(figure, f"{model}-{profile}", f"Latency over time, {profile} ramp, {MODELS[model]}")
        shown = {n: f["saturation"]["steps"] for n, f in systems.items() if "saturation" in f}
        if shown:
            figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharey=True)
            for axis, p in zip(axes, ("p50", "p95", "p99")):
                for name, steps in shown.items():
                    steps = [s for s in steps if s[f"{p}_ms"]]
                    axis.plot([s["rate"] for s in steps], [s[f"{p}_ms"] for s in steps], "o-", markersize=3,
                              color=colours[name], label=NAMES[name])
                axis.set(xscale="log", yscale="log", xlabel="offered requests a second", title=p)
                axis.axhline(results["goal_p95_ms"], color="grey", linestyle=":", linewidth=1)
            axes[0].set_ylabel("ms since the request was due")
            axes[0].legend(fontsize=7)
            save(figure, f"{model}-saturation", f"Saturation, {MODELS[model]}")
    if (out / "autoscale.csv").exists():
        with open(out / "autoscale.csv", newline="", encoding="utf-8") as f:
            rows = [(float(r["seconds"]), float(r["requests_per_s"]), int(r["replicas"])) for r in csv.DictReader(f)]
        figure = replicas_figure(rows)
        save(figure, "replicas", "Replicas over time: Ray Serve, scaled on the engine's saturation")
    return made


STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d5d9de; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --paper: #15181c; --line: #363c44; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 70rem;
       margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 1rem 0; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
figure { margin: 1.5rem 0; } figure img { background: #fff; max-width: 100%; height: auto; border-radius: 4px; }
"""


def page(markdown: str, plots: list[tuple[str, str]]) -> str:
    """tables.md knows headings, tables and paragraphs; so does this."""
    body, rows = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([html.escape(c.strip()) for c in line.strip("|").split("|")])
            continue
        if rows:
            head, _, *rest = rows
            body.append('<div class="scroll"><table><thead><tr>' + "".join(f"<th>{c}</th>" for c in head)
                        + "</tr></thead><tbody>" + "".join("<tr>" + "".join(f"<td>{c}</td>" for c in r) + "</tr>" for r in rest)
                        + "</tbody></table></div>")
            rows = []
        if line.startswith("### "):
            body.append(f"<h2>{html.escape(line[4:])}</h2>")
        elif line:
            body.append(f"<p>{html.escape(line)}</p>")
    body += [f'<figure><figcaption><h2>{html.escape(title)}</h2></figcaption><img src="{name}.svg" alt="{html.escape(title)}">'
             "</figure>" for name, title in plots]
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>inferd: load results</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{STYLE}</style></head><body>\n<h1>Load results</h1>\n" + "\n".join(body) + "\n</body></html>\n")


def write_csv(results: dict[str, Any], out: Path) -> None:
    with open(out / "series.csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["model", "system", "profile", "second", "requests", "failed", "p50_ms", "p95_ms"])
        for model, systems in results["models"].items():
            for name, found in systems.items():
                for profile, r in found.get("ramps", {}).items():
                    w.writerows([model, name, profile, b["s"], b["requests"], b["failed"], round(b["p50_ms"], 3),
                                 round(b["p95_ms"], 3)] for b in r["series"])
    with open(out / "saturation.csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["model", "system", "rate", "requests", "ok_per_s", "refused", "failed", "p50_ms", "p95_ms", "p99_ms"])
        for model, systems in results["models"].items():
            for name, found in systems.items():
                for s in found.get("saturation", {}).get("steps", []):
                    w.writerow([model, name, s["rate"], s["requests"], round(s["ok_per_s"], 1), s["refused"], s["failed"],
                                s["p50_ms"], s["p95_ms"], s["p99_ms"]])


def write(results: dict[str, Any], out: Path) -> None:
    markdown = tables(results)
    (out / "tables.md").write_text(markdown, encoding="utf-8")
    write_csv(results, out)
    (out / "index.html").write_text(page(markdown, draw(results, out)), encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write(json.loads((folder / "results.json").read_text(encoding="utf-8")), folder)
