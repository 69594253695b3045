# SPDX-License-Identifier: Apache-2.0
"""Have a teacher judge a pool of texts once: many views of the training rows, and unlabelled ones.

Writes OUT/pool.jsonl ({"text", "label": 0, 1 or -1 for none, "soft": the teacher's two logits}), which
`train.py --soft OUT` learns from. The teacher's pass is paid once, so each later epoch and seed of a
student costs no more than plain training. Batches of judged texts are kept in OUT/parts: a run that was
cut goes on, and `--part I --of N` shares the work between processes (one core each).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as hf_logging

import augment
import data
import textviews

CHUNK = 1024  # texts per kept part


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--teacher", type=Path, required=True, help="output directory of train.py; its running average is used")
    p.add_argument("--student", type=Path, required=True, help="whose word embedding says which words are neighbours")
    p.add_argument("--train", type=Path, required=True)
    p.add_argument("--dev", type=Path, required=True, help="rows equal to one of its rows are not in the pool")
    p.add_argument("--lexicon", type=Path, help="vader_lexicon.txt: its clear words are judged too")
    p.add_argument("--held-out", type=int, default=400)
    p.add_argument("--seed", type=int, default=5)
    p.add_argument("--replaced", type=int, default=2, help="word-replaced copies of each whole sentence")
    p.add_argument("--joined", type=int, default=10000, help="texts joined of two phrases")
    p.add_argument("--templates", type=int, default=4000)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--part", type=int, default=0)
    p.add_argument("--of", type=int, default=1)
    p.add_argument("--gather", action="store_true", help="judge nothing: write pool.jsonl from the parts that are there")
    return p.parse_args()


def pool(args) -> list[tuple[str, int]]:
    """The (text, label) pairs to judge, without doubles: the same list for the same arguments.

    Whole sentences and their replaced copies come first, so that a pass cut short has the best part.
    """
    rng = random.Random(args.seed)
    train, _ = data.load_split(args.train, args.dev, args.held_out)
    tokenizer = AutoTokenizer.from_pretrained(args.student)
    embedding = AutoModelForSequenceClassification.from_pretrained(args.student).get_input_embeddings().weight.detach()
    near = augment.neighbours([w for r in train if r.whole for w in r.text.split()], tokenizer.get_vocab(), embedding)
    whole, texts = [], []
    for row in train:
        if row.whole:
            whole += [(row.text, row.label), (textviews.natural_view(row.text, row.label, rng), row.label)]
            for n in range(args.replaced):
                text = augment.replaced(row.text, near, rng)
                whole.append((textviews.detokenize(text) if n % 2 else text, -1))
        else:
            natural = rng.random() < 0.5
            texts.append((textviews.natural_view(row.text, row.label, rng) if natural else row.text, row.label))
    phrases = [r.text for r in train if not r.whole and 2 <= len(r.text.split()) <= 14]
    for _ in range(args.joined):
        text = augment.joined(rng.choice(phrases), rng.choice(phrases), rng)
        texts.append((textviews.detokenize(text) if rng.random() < 0.5 else text, -1))
    for row in data.template_rows(args.templates, rng):
        texts.append((textviews.natural_view(row.text, row.label, rng), row.label))
    if args.lexicon:
        texts += [(r.text, r.label) for r in data.lexicon_rows(args.lexicon)]
    rng.shuffle(whole)
    rng.shuffle(texts)
    return list(dict.fromkeys(whole + texts))


@torch.inference_mode()
def judge(model, tokenizer, texts, size=96) -> torch.Tensor:
    """The model's logits of `texts`, in their order. bf16 throughout: a soft label needs no more."""
    enc = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
    order = sorted(range(len(texts)), key=lambda i: len(enc[i]))
    out = torch.zeros(len(texts), model.config.num_labels)
    for start in range(0, len(order), size):
        ids = order[start : start + size]
        pad = tokenizer.pad({"input_ids": [enc[i] for i in ids]}, return_tensors="pt")
        out[ids] = model(**pad).logits.float()
    return out


def main() -> None:
    args = parse_args()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    torch.set_flush_denormal(True)
    if args.of > 1:
        torch.set_num_threads(1)
    parts = args.out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    texts = pool(args)
    chunks = [texts[i : i + CHUNK] for i in range(0, len(texts), CHUNK)]
    print(f"{len(texts)} texts, {sum(y >= 0 for _, y in texts)} with a label; {len(chunks)} chunks", flush=True)
    if not args.gather:
        tokenizer = AutoTokenizer.from_pretrained(args.teacher)
        model = AutoModelForSequenceClassification.from_pretrained(args.teacher, attn_implementation="eager")
        model.load_state_dict(torch.load(args.teacher / "last.pt", weights_only=True)["ema"])
        model = model.to(torch.bfloat16).eval()
        for n in range(args.part, len(chunks), args.of):
            path = parts / f"{n:04d}.json"
            if path.exists():
                continue
            began = time.time()
            logits = judge(model, tokenizer, [t for t, _ in chunks[n]])
            path.with_suffix(".tmp").write_text(json.dumps([[round(v, 3) for v in row] for row in logits.tolist()]))
            path.with_suffix(".tmp").rename(path)
            print(f"chunk {n} of {len(chunks)}: {time.time() - began:.1f} s", flush=True)
    done = [n for n in range(len(chunks)) if (parts / f"{n:04d}.json").exists()]
    if not args.gather and (args.of > 1 or len(done) < len(chunks)):
        return
    wrong = labelled = 0
    with open(args.out / "pool.jsonl", "w", encoding="utf-8") as f:
        for n in done:
            for (text, label), soft in zip(chunks[n], json.loads((parts / f"{n:04d}.json").read_text()), strict=True):
                labelled += label >= 0
                wrong += label >= 0 and (soft[1] > soft[0]) != bool(label)
                f.write(json.dumps({"text": text, "label": label, "soft": soft}, ensure_ascii=False) + "\n")
    print(f"{len(done)} of {len(chunks)} chunks gathered; the teacher disagrees with {wrong} of {labelled} labels")


if __name__ == "__main__":
    main()
