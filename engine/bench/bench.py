# SPDX-License-Identifier: Apache-2.0
"""Sentences per second of inferd beside the libraries people use, in one process, interleaved.

Rounds go through all engines in turns, so a machine whose speed drifts slows all alike; a case's
figure is the least time over the rounds. Peers get ready-made token ids padded per batch; inferd
is timed from UTF-8 text to label, tokenising included. Prints a table with ratios to the best peer
of the same precision class (fp32; narrow: bf16 and int8), writes a CSV and a plot. "full last layer"
is inferd without its saving in the last layer, of which a classifier reads the first token alone.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import amx
from peers import engines as peer
from peers.distilbert import make
from peers.ours import Inferd


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def amx_state(args) -> str:
    if args.no_amx:
        return "refused to all engines"
    return "for who uses it" if " amx_int8" in Path("/proc/cpuinfo").read_text() else "none"


def build(args, model: Path, folder: Path, texts: list[str]) -> list:
    """Every engine asked for; one that cannot be set up is said and left out."""
    t = args.threads
    makers = {"ours-int8": lambda: Inferd(args.library, model, t, "int8", args.tier),
              "ours-bf16": lambda: Inferd(args.library, model, t, "bf16", args.tier),
              "ours-fp32": lambda: Inferd(args.library, model, t, "fp32", args.tier),
              "ours-int8-full": lambda: Inferd(args.library, model, t, "int8", args.tier, True),
              "ours-fp32-full": lambda: Inferd(args.library, model, t, "fp32", args.tier, True),
              "ort-fp32": lambda: peer.OnnxRuntime(model, folder, t, False),
              "ort-int8": lambda: peer.OnnxRuntime(model, folder, t, True),
              "ov-fp32": lambda: peer.OpenVino(model, folder, t, "fp32", texts),
              "ov-bf16": lambda: peer.OpenVino(model, folder, t, "bf16", texts),
              "ov-int8": lambda: peer.OpenVino(model, folder, t, "int8", texts),
              "ct2-int8": lambda: peer.CTranslate2(model, folder, t),
              "torch-fp32": lambda: peer.PyTorch(model, t)}
    out = []
    for key, maker in makers.items():
        if args.engines and key not in args.engines:
            continue
        try:
            out.append(maker())
        except Exception as why:  # an engine that this machine or version cannot run
            if key.startswith("ours"):
                raise
            print(f"{key}: left out: {type(why).__name__}: {why}", flush=True)
    return out


def cases(args, texts: list[str]) -> dict[str, list[list[str]]]:
    out = {}
    for order in args.orders:
        for b in args.batches:
            if order == "sorted" and b == 1:
                continue
            row = sorted(texts, key=len) if order == "sorted" else texts
            out[f"b{b}{' sorted' if order == 'sorted' else ''}"] = [row[i : i + b] for i in range(0, len(row), b)]
    return out


def measure(args, engines: list, texts: list[str]) -> dict[tuple[str, str], float]:
    best: dict[tuple[str, str], float] = {}
    plan = cases(args, texts)
    prepared = {(e.name, c): [e.prepare(b) for b in batches] for e in engines for c, batches in plan.items()}
    for number in range(args.rounds + 1):  # round 0 warms up
        for case in plan:
            for e in engines:
                began = time.perf_counter()
                for batch in prepared[e.name, case]:
                    e.run(batch)
                took = time.perf_counter() - began
                if number:
                    best[e.name, case] = min(took, best.get((e.name, case), took))
        print(f"round {number}/{args.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return {k: len(texts) / v for k, v in best.items()}


def table(title: str, speed: dict[tuple[str, str], float]) -> list[list]:
    names = list(dict.fromkeys(k[0] for k in speed))
    cases_ = list(dict.fromkeys(k[1] for k in speed))
    print(f"\n{title}: sentences/s (ratio to the best peer of its class)")
    print(f"{'':34s}" + "".join(f"{c:>18s}" for c in cases_))
    rows = []
    for n in names:
        line = f"{n:34s}"
        for c in cases_:
            rivals = [speed[p, c] for p in names if not p.startswith("inferd") and ("fp32" in p) == ("fp32" in n)]
            ratio = speed[n, c] / max(rivals) if rivals and n.startswith("inferd") else None
            line += f"{speed[n, c]:10.1f}" + (f" {ratio:5.2f} x" if ratio else " " * 8)
            rows.append([title, c, n, round(speed[n, c], 2), round(ratio, 3) if ratio else ""])
        print(line)
    return rows


def plot(rows: list[list], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    titles = list(dict.fromkeys(r[0] for r in rows))
    figure, axes = plt.subplots(len(titles), 1, figsize=(9, 4 * len(titles)), squeeze=False)
    for axis, title in zip(axes[:, 0], titles):
        part = [r for r in rows if r[0] == title]
        names, groups = list(dict.fromkeys(r[2] for r in part)), list(dict.fromkeys(r[1] for r in part))
        width = 0.8 / len(names)
        for i, n in enumerate(names):
            axis.bar([g + i * width for g in range(len(groups))], [r[3] for r in part if r[2] == n], width, label=n)
        axis.set_xticks([g + 0.4 - width / 2 for g in range(len(groups))], groups)
        axis.set_title(title)
        axis.set_ylabel("sentences per second")
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--library", type=Path, required=True, help="libinferd_bench.so")
    p.add_argument("--model", type=Path, required=True, help="the small model; the large one is made beside it")
    p.add_argument("--texts", type=Path, required=True, help="TSV with a header, text in the second column")
    p.add_argument("--out", type=Path, required=True, help="folder for graphs, CSV and plot")
    p.add_argument("--count", type=int, default=192, help="sentences from the top, in arrival order; the large model takes a third")
    p.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    p.add_argument("--orders", nargs="+", default=["arrival", "sorted"])
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--tier", default=None)
    p.add_argument("--no-amx", action="store_true", help="keep AMX from every engine: what a CPU with VNNI and without AMX would show")
    p.add_argument("--models", nargs="+", default=["small", "large"])
    p.add_argument("--engines", nargs="+", default=None)
    args = p.parse_args()
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.threads]))
    if args.no_amx:
        amx.refuse()
    print(f"cpu: {cpu_name()}, {args.threads} thread(s), tier {args.tier or 'best'}, AMX {amx_state(args)}, load {os.getloadavg()[0]:.1f}")
    lines = args.texts.read_text(encoding="utf-8").split("\n")[1 : args.count + 1]
    texts = [line.split("\t", 1)[1] for line in lines if line]
    large = args.out / "distilbert"
    args.out.mkdir(parents=True, exist_ok=True)
    if "large" in args.models and not (large / "model.safetensors").exists():
        make(args.model, large)
    rows = []
    for title, model in (("small", args.model), ("large", large)):
        if title not in args.models:
            continue
        folder = args.out / f"graphs-{title}"
        folder.mkdir(exist_ok=True)
        some = texts if title == "small" else texts[: max(1, len(texts) // 3)]
        engines = build(args, model.resolve(), folder, some)
        name = {"small": args.model.name, "large": "DistilBERT-base size"}[title]
        rows += table(f"{name}, {args.threads} thread(s)", measure(args, engines, some))
        with open(args.out / "bench.csv", "w", newline="", encoding="utf-8") as f:
            w = csv.writer(f)
            w.writerow(["model", "case", "engine", "sentences_per_s", "ratio_to_best_peer"])
            w.writerows(rows)
    plot(rows, args.out / "bench.png")


if __name__ == "__main__":
    main()
