# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a BERT encoder on SST-2: one run of the recipe (see README.md beside this file).

Writes OUT/last.pt after each epoch (weights, their running average, optimiser, position) and goes
on from it when it is there. `--teacher` adds a distillation term: the mean of the given models'
probabilities for each view. `--soft` trains on a pool that soften.py had judged instead: its texts, its
labels where they have one, and the teacher's logits.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as hf_logging

import data
import textviews

LABELS = {0: "NEGATIVE", 1: "POSITIVE"}


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--base", type=Path, required=True, help="directory of the pre-trained encoder")
    p.add_argument("--train", type=Path, required=True, help="train.tsv of SST-2")
    p.add_argument("--dev", type=Path, required=True, help="dev.tsv: rows equal to one of its rows are not trained on")
    p.add_argument("--init", type=Path, help="start from the running average of this earlier run")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--stop-after", type=int, default=0, help="end after this many epochs of the schedule (0: all)")
    p.add_argument("--batch", type=int, default=48)
    p.add_argument("--lr", type=float, default=8e-5)
    p.add_argument("--layer-decay", type=float, default=0.9, help="learning rate factor from each layer to the one below")
    p.add_argument("--warmup", type=float, default=0.06)
    p.add_argument("--weight-decay", type=float, default=0.01)
    p.add_argument("--token-dropout", type=float, default=0.1, help="share of word pieces replaced by [MASK] in training")
    p.add_argument("--adversarial", type=float, default=0.0,
                   help="length of a second pass's perturbation of each text's embeddings (0: no second pass)")
    p.add_argument("--phrase-share", type=float, default=1.0, help="share of the phrases (not whole sentences) shown per epoch")
    p.add_argument("--freeze-words", action="store_true", help="leave the word embeddings as they are")
    p.add_argument("--frozen-layers", type=int, default=0,
                   help="leave the embeddings and this many lowest layers as they are: their backward pass is saved too")
    p.add_argument("--attention-dropout", type=float, default=0.1)
    p.add_argument("--hidden-dropout", type=float, default=0.1)
    p.add_argument("--threads", type=int, default=0, help="compute threads (0: one a core); one each for runs side by side")
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--whole-repeat", type=int, default=3, help="times a whole sentence is shown per epoch")
    p.add_argument("--raw-share", type=float, default=0.5, help="share of views left as SST-2 has them")
    p.add_argument("--templates", type=int, default=1500, help="everyday template sentences per epoch")
    p.add_argument("--lexicon", type=Path, help="vader_lexicon.txt: half of its clear words are shown per epoch")
    p.add_argument("--held-out", type=int, default=400)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--teacher", type=Path, nargs="*", default=[], help="model directories to distil from")
    p.add_argument("--soft", type=Path, help="output directory of soften.py: learn from its pool, not from views made here")
    p.add_argument("--pool-share", type=float, default=1.0, help="share of that pool shown per epoch")
    p.add_argument("--soft-temperature", type=float, default=1.5, help="softens the pool's and the student's logits")
    p.add_argument("--distil-weight", type=float, default=0.7)
    p.add_argument("--limit-steps", type=int, default=0, help="stop early (to time a step)")
    return p.parse_args()


def epoch_views(rows, args, epoch) -> list[tuple[str, int]]:
    """The (text, label) pairs of one epoch."""
    rng = random.Random(args.seed * 1000 + epoch)
    views = []
    for row in rows:
        if not row.whole and rng.random() >= args.phrase_share:
            continue
        for _ in range(args.whole_repeat if row.whole else 1):
            text = row.text if rng.random() < args.raw_share else textviews.natural_view(row.text, row.label, rng)
            views.append((text, row.label))
    if args.lexicon:
        views += [(r.text, r.label) for r in data.lexicon_rows(args.lexicon) if rng.random() < 0.5]
    for row in data.template_rows(args.templates, rng):
        views.append((textviews.natural_view(row.text, row.label, rng), row.label))
    return views


def read_pool(directory: Path) -> list[tuple[str, int, list[float]]]:
    """(text, label or -1, the teacher's logits) of each row that soften.py wrote."""
    with open(directory / "pool.jsonl", encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    return [(r["text"], r["label"], r["soft"]) for r in rows]


def pool_views(pool, args, epoch):
    """The rows of a judged pool that one epoch shows."""
    rng = random.Random(args.seed * 1000 + epoch)
    return [row for row in pool if rng.random() < args.pool_share]


def batches(texts, tokenizer, size, seed):
    """Length-bucketed batches of (ids, mask, which texts): shuffled, sorted within chunks, shuffled again."""
    rng = random.Random(seed)
    enc = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
    order = list(range(len(texts)))
    rng.shuffle(order)
    out = []
    for start in range(0, len(order), 64 * size):
        chunk = sorted(order[start : start + 64 * size], key=lambda i: len(enc[i]))
        out += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    rng.shuffle(out)
    for ids in out:
        width = -(-max(len(enc[i]) for i in ids) // 4) * 4  # few distinct shapes: each costs a kernel compilation
        x = torch.full((len(ids), width), tokenizer.pad_token_id, dtype=torch.long)
        for k, i in enumerate(ids):
            x[k, : len(enc[i])] = torch.tensor(enc[i])
        yield x, (x != tokenizer.pad_token_id).long(), ids


def parameter_groups(model, args):
    """Layer-wise learning rates: the head learns fastest, the embeddings slowest."""
    depth = model.config.num_hidden_layers
    groups = {}
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        if "embeddings" in name:
            level = depth + 1
        elif ".layer." in name:
            level = depth - int(name.split(".layer.")[1].split(".")[0])
        else:
            level = 0
        decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else args.weight_decay
        groups.setdefault((level, decay), []).append(param)
    return [{"params": ps, "weight_decay": wd, "lr": args.lr * args.layer_decay**lv, "base_lr": args.lr * args.layer_decay**lv}
            for (lv, wd), ps in groups.items()]


@torch.no_grad()
def predict(model, tokenizer, texts, batch=64) -> torch.Tensor:
    """fp32 logits of `texts`, in their order: float tensor [len(texts), labels]."""
    model.eval()
    enc = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
    order = sorted(range(len(texts)), key=lambda i: len(enc[i]))
    out = torch.zeros(len(texts), model.config.num_labels)
    for start in range(0, len(order), batch):
        ids = order[start : start + batch]
        pad = tokenizer.pad({"input_ids": [enc[i] for i in ids]}, return_tensors="pt")
        out[ids] = model(**pad).logits.float()
    return out


def accuracy(model, tokenizer, rows, view=lambda t: t) -> float:
    logits = predict(model, tokenizer, [view(r.text) for r in rows])
    return float((logits.argmax(-1) == torch.tensor([r.label for r in rows])).float().mean())


def main() -> None:
    args = parse_args()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    torch.set_flush_denormal(True)  # Adam's moments of rare words decay into denormals: 20 times slower steps
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)

    train, held_out = data.load_split(args.train, args.dev, args.held_out)
    print(f"training on {len(train)} rows, {sum(r.whole for r in train)} whole; held out {len(held_out)}", flush=True)

    tokenizer = AutoTokenizer.from_pretrained(args.base)
    model = AutoModelForSequenceClassification.from_pretrained(
        args.base, num_labels=2, id2label=LABELS, label2id={v: k for k, v in LABELS.items()}, attn_implementation="eager",
        attention_probs_dropout_prob=args.attention_dropout, hidden_dropout_prob=args.hidden_dropout, dtype=torch.float32)
    teachers = [AutoModelForSequenceClassification.from_pretrained(t, attn_implementation="eager").eval() for t in args.teacher]
    if args.init:
        model.load_state_dict(torch.load(args.init / "last.pt", weights_only=True)["ema"])
    words = model.get_input_embeddings()
    special = torch.tensor(tokenizer.all_special_ids)
    words.weight.requires_grad_(not args.freeze_words)
    if args.frozen_layers:
        model.base_model.embeddings.requires_grad_(False)
        model.base_model.encoder.layer[: args.frozen_layers].requires_grad_(False)
    ema = {k: v.detach().clone() for k, v in model.state_dict().items()}
    opt = torch.optim.AdamW(parameter_groups(model, args), fused=True)
    first_epoch, step = 0, 0
    state_path = args.out / "last.pt"
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["opt"])
        ema, first_epoch, step = state["ema"], state["epoch"], state["step"]
        print(f"going on after epoch {first_epoch}", flush=True)
    pool = read_pool(args.soft) if args.soft else None
    per_epoch = -(-len(pool_views(pool, args, 0) if pool else epoch_views(train, args, 0)) // args.batch)
    total = per_epoch * args.epochs

    for epoch in range(first_epoch, args.stop_after or args.epochs):
        began, seen, loss_sum = time.time(), 0, 0.0
        model.train()
        views = pool_views(pool, args, epoch) if pool else epoch_views(train, args, epoch)
        for n, (x, mask, which) in enumerate(batches([v[0] for v in views], tokenizer, args.batch, args.seed * 77 + epoch)):
            y = torch.tensor([views[i][1] for i in which])
            scale = min(step / (args.warmup * total), (total - step) / (total * (1 - args.warmup)))
            for g in opt.param_groups:
                g["lr"] = g["base_lr"] * max(scale, 0.0)
            hide = (torch.rand(x.shape) < args.token_dropout) & ~torch.isin(x, special)
            shown = x.masked_fill(hide, tokenizer.mask_token_id)
            embedded = words(shown)
            if args.adversarial and not embedded.requires_grad:
                embedded.requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(inputs_embeds=embedded, attention_mask=mask).logits.float()
                if teachers:
                    with torch.no_grad():
                        soft = torch.stack([t(input_ids=x, attention_mask=mask).logits.float().softmax(-1) for t in teachers]).mean(0)
            loss = F.cross_entropy(logits, y, ignore_index=-1, reduction="sum") / len(y)
            if pool:
                t = args.soft_temperature
                told = (torch.tensor([views[i][2] for i in which]) / t).softmax(-1)
                apart = F.kl_div((logits / t).log_softmax(-1), told, reduction="batchmean") * t * t
                loss = (1 - args.distil_weight) * loss + args.distil_weight * apart
            if teachers:
                loss = (1 - args.distil_weight) * loss + args.distil_weight * F.cross_entropy(logits, soft)
            if args.adversarial:
                embedded.retain_grad()
            loss.backward()
            if args.adversarial:  # FGM (Miyato et al. 2017): train at the worst nearby embeddings too
                g = embedded.grad
                nudge = args.adversarial * g / (g.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-12)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    worst = model(inputs_embeds=embedded.detach() + nudge, attention_mask=mask).logits.float()
                (F.cross_entropy(worst, y, ignore_index=-1, reduction="sum") / len(y)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad(set_to_none=False)
            step += 1
            decay = min(args.ema, (1 + step) / (10 + step))
            if step % 8 == 0:  # eight steps' decay at once: the average is a ninth of a step's cost otherwise
                with torch.no_grad():
                    for k, v in model.state_dict().items():
                        ema[k].lerp_(v, 1 - decay**8) if v.is_floating_point() else ema[k].copy_(v)
            seen += int(mask.sum())
            loss_sum += float(loss.detach())
            if n % 100 == 0:
                rate = seen / (time.time() - began)
                print(f"epoch {epoch + 1}/{args.epochs} step {n}/{per_epoch} loss {loss_sum / (n + 1):.4f} {rate:.0f} tokens/s", flush=True)
            if args.limit_steps and step >= args.limit_steps:
                return
        torch.save({"model": model.state_dict(), "ema": ema, "opt": opt.state_dict(), "epoch": epoch + 1, "step": step}, state_path)
        live = {k: v.clone() for k, v in model.state_dict().items()}
        report = {"epoch": epoch + 1, "minutes": round((time.time() - began) / 60, 1)}
        for name, weights in (("live", live), ("ema", ema)):
            model.load_state_dict(weights)
            report[name] = {"held_out": round(accuracy(model, tokenizer, held_out), 4),
                            "held_out_detok": round(accuracy(model, tokenizer, held_out, textviews.detokenize), 4)}
        model.save_pretrained(args.out)
        tokenizer.save_pretrained(args.out)
        model.load_state_dict(live)
        print(json.dumps(report), flush=True)
        with open(args.out / "log.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
