#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Logits of a built `inferd` beside PyPI transformers fp32 on SST-2 dev, per CPU tier.

    python parity.py INFERD [--model DIR] [--eval FILE.tsv] [--tiers ref,avx2,avx512] [--ref-texts N]

Two models: the one in --model (the bundled one by default) and a full-size DistilBERT-base (66M
parameters) with random weights, made in a temporary directory with the first one's tokenizer. Texts
are the second column of the evaluation file, in its order; the slow `ref` tier takes the first
--ref-texts of them on the large model. Prints the largest |logit difference|, its mean, and labels
that differ, per model and tier. Exit 1 if a difference is above 1e-4 or a label differs that is no
tie. A control with one logit moved by 1e-3 must be caught. Needs torch and transformers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DistilBertConfig

from make_golden import randomize

ROOT = Path(__file__).resolve().parents[4]
BOUND = 1e-4
MAX_LENGTH = 128
UNSUPPORTED = "cpu_unsupported"


def read_texts(path: Path) -> list[str]:
    rows = path.read_text(encoding="utf-8").split("\n")
    rows = [r.split("\t") for r in rows if r]
    if rows[0][0] == "label":
        rows = rows[1:]
    return [r[1] for r in rows]


def make_distilbert_base(out: Path, tokenizer_from: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_from)
    config = DistilBertConfig(vocab_size=max(30522, len(tokenizer)))
    model = AutoModelForSequenceClassification.from_config(config)
    randomize(model, 66)
    model.save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        if (tokenizer_from / name).exists():
            shutil.copy(tokenizer_from / name, out / name)


def expected(model_dir: Path, texts: list[str]) -> torch.Tensor:
    """Batches of equal length only, so that no padding comes into it."""
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForSequenceClassification.from_pretrained(
        model_dir, dtype=torch.float32, attn_implementation="eager").eval()
    limit = min(MAX_LENGTH, model.config.max_position_embeddings)
    ids = [tokenizer(t, truncation=True, max_length=limit)["input_ids"] for t in texts]
    out = torch.zeros(len(texts), model.config.num_labels)
    by_length: dict[int, list[int]] = {}
    for i, row in enumerate(ids):
        by_length.setdefault(len(row), []).append(i)
    with torch.no_grad():
        for rows in by_length.values():
            out[rows] = model(torch.tensor([ids[i] for i in rows])).logits
    return out


def ours(binary: str, model_dir: Path, texts: list[str], tier: str) -> tuple[torch.Tensor, list[str]] | None:
    if any("\n" in t for t in texts):
        raise SystemExit("parity: a text has a line feed; the plain format takes one text a line")
    run = subprocess.run([binary, "classify", "--json", "--dtype", "fp32", "--model", str(model_dir)],
                         input="".join(t + "\n" for t in texts), capture_output=True, encoding="utf-8",
                         env={**os.environ, "INFERD_CPU": tier})
    if run.returncode != 0:
        if UNSUPPORTED in run.stderr or "lacks" in run.stderr:
            return None
        raise SystemExit(f"parity: {binary} failed with {run.returncode}: {run.stderr.strip()}")
    rows = [json.loads(line) for line in run.stdout.split("\n") if line]
    if len(rows) != len(texts):
        raise SystemExit(f"parity: {len(rows)} answers to {len(texts)} texts")
    labels = [r["label"] for r in rows]
    logits = [list(r["logits"].values()) if isinstance(r["logits"], dict) else r["logits"] for r in rows]
    return torch.tensor(logits, dtype=torch.float64).float(), labels


def compare(want: torch.Tensor, got: torch.Tensor) -> tuple[float, float]:
    difference = (want.double() - got.double()).abs()
    largest = float(difference.max())
    return (math.inf if math.isnan(largest) else largest), float(difference.mean())


def check(name: str, binary: str, model_dir: Path, texts: list[str], tiers: list[str], ref_texts: int) -> int:
    failures = 0
    began = time.monotonic()
    want = expected(model_dir, texts)
    names = json.loads((model_dir / "config.json").read_text())
    names = names.get("id2label") or {str(i): f"LABEL_{i}" for i in range(want.shape[1])}
    print(f"{name}: {len(texts)} texts, logits {float(want.min()):.2f} to {float(want.max()):.2f}, "
          f"transformers took {time.monotonic() - began:.0f} s", flush=True)
    for tier in tiers:
        n = min(ref_texts, len(texts)) if tier == "ref" else len(texts)
        began = time.monotonic()
        result = ours(binary, model_dir, texts[:n], tier)
        if result is None:
            print(f"  {tier:7s} not on this CPU")
            continue
        got, labels = result
        largest, mean = compare(want[:n], got)
        top = want[:n].topk(min(2, want.shape[1]), dim=1).values
        tie = (top[:, 0] - top[:, -1] < 2 * BOUND) if want.shape[1] > 1 else torch.zeros(n, dtype=torch.bool)
        wrong = sum(labels[i] != names[str(int(want[i].argmax()))] and not bool(tie[i]) for i in range(n))
        moved = got.clone()
        moved[0, 0] += 1e-3
        if compare(want[:n], moved)[0] <= BOUND:
            raise SystemExit("parity: the control was not caught")
        print(f"  {tier:7s} {n} texts: largest |logit difference| {largest:.2e}, mean {mean:.1e}, "
              f"{wrong} labels differ, {time.monotonic() - began:.0f} s", flush=True)
        failures += largest > BOUND or wrong > 0
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inferd")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "sst2-minilm-l6")
    parser.add_argument("--eval", type=Path, default=ROOT / "models" / "eval" / "sst2-dev.tsv")
    parser.add_argument("--tiers", default="ref,avx2,avx512")
    parser.add_argument("--ref-texts", type=int, default=100)
    args = parser.parse_args()
    texts, tiers = read_texts(args.eval), args.tiers.split(",")
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, bound {BOUND}")
    failures = check(args.model.name, args.inferd, args.model, texts, tiers, len(texts))
    with tempfile.TemporaryDirectory() as scratch:
        large = Path(scratch) / "distilbert-base-random"
        make_distilbert_base(large, args.model)
        failures += check("distilbert-base, random weights", args.inferd, large, texts, tiers, args.ref_texts)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
