# SPDX-License-Identifier: Apache-2.0
"""Turn training runs into the model directory: average, calibrate, narrow to F16, measure.

1. The candidates are each run's running average and the mean of all of them (a "model soup",
   Wortsman et al. 2022): same initialisation, so their weights can be averaged.
2. The one of the least log loss on the held-out sentences, both renderings, each at its own best
   temperature, is taken: 400 sentences have too few errors to count, and a loss weighs them all. dev
   takes no part in the choice; it is printed beside it. `--mean` takes the mean of all runs.
3. One temperature (Guo et al. 2017) is folded into the classifier's weights and bias, so that the
   plain softmax is calibrated. It is fitted on the held-out sentences, or with `--fit all` on these
   and dev: the held-out ones are harder, and their temperature alone is wrong for dev. How much dev
   gains from its part in the fit is told by a cross-fit: each half at the other half's temperature.
4. Weights are stored as F16. Everything measured is measured on the stored file, loaded anew.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as hf_logging

import data
import textviews
from train import predict


def calibration(logits: torch.Tensor, labels: torch.Tensor, bins: int = 15) -> dict[str, float]:
    """Accuracy, expected calibration error (equal-width bins), Brier score, mean log loss."""
    p = logits.softmax(-1)
    confidence, predicted = p.max(-1)
    right = (predicted == labels).float()
    ece = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            ece += float(inside.float().mean() * (right[inside].mean() - confidence[inside].mean()).abs())
    return {"accuracy": round(float(right.mean()), 5), "ece": round(ece, 5),
            "brier": round(float(((p - F.one_hot(labels, 2)) ** 2).sum(-1).mean()), 5),
            "log_loss": round(float(F.cross_entropy(logits, labels)), 5)}


def best_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature of the least log loss, by golden-section search over its logarithm."""
    low, high, ratio = math.log(0.3), math.log(8.0), (math.sqrt(5) - 1) / 2
    loss = lambda t: float(F.cross_entropy(logits / math.exp(t), labels))
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return math.exp((low + high) / 2)


def cross_fitted(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Calibration error with each half of the rows at the temperature of the other half."""
    half = torch.arange(len(labels)) % 2 == 0
    scaled = logits.clone()
    for a, b in ((half, ~half), (~half, half)):
        scaled[b] = logits[b] / best_temperature(logits[a], labels[a])
    return calibration(scaled, labels)["ece"]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--runs", type=Path, nargs="+", required=True, help="output directories of train.py")
    p.add_argument("--train", type=Path, required=True)
    p.add_argument("--dev", type=Path, required=True)
    p.add_argument("--held-out", type=int, default=400)
    p.add_argument("--mean", action="store_true", help="take the mean of the runs, whatever the scores")
    p.add_argument("--fit", choices=("held-out", "all"), default="held-out", help="what the temperature is fitted on")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()

    tokenizer = AutoTokenizer.from_pretrained(args.runs[0])
    model = AutoModelForSequenceClassification.from_pretrained(args.runs[0])
    rows = data.load_split(args.train, args.dev, args.held_out)[1]
    dev = data.read_tsv(args.dev)
    shown = rows * 2 + dev * 2
    texts = [view(r.text) for part in (rows, dev) for view in (str, textviews.detokenize) for r in part]
    labels = torch.tensor([r.label for r in shown])
    held = slice(0, 2 * len(rows))
    fit = slice(0, None if args.fit == "all" else 2 * len(rows))  # what the temperature sees

    single = {run.name: torch.load(run / "last.pt", weights_only=True)["ema"] for run in args.runs}
    candidates = dict(single)
    if len(single) > 1:
        mean = {k: torch.stack([s[k].float() for s in single.values()]).mean(0) for k in next(iter(single.values()))}
        candidates["mean of " + ", ".join(single)] = mean
    scored = {}
    for name, weights in candidates.items():
        model.load_state_dict({k: v.to(model.state_dict()[k].dtype) for k, v in weights.items()})
        logits = predict(model, tokenizer, texts)
        t = best_temperature(logits[fit], labels[fit])
        scored[name] = (float(F.cross_entropy(logits[held] / t, labels[held])), t)
        on_dev, dev_labels = logits[len(rows) * 2 :], labels[len(rows) * 2 :]
        print(f"{name}: temperature {t:.3f}, held out {calibration(logits[held] / t, labels[held])}, "
              f"dev {calibration(on_dev / t, dev_labels)}, cross-fitted ece {cross_fitted(on_dev, dev_labels):.4f}", flush=True)
    chosen = list(scored)[-1] if args.mean else min(scored, key=lambda n: scored[n][0])
    temperature = scored[chosen][1]
    print(f"chosen: {chosen}")

    args.out.mkdir(parents=True, exist_ok=True)
    weights = {k: v.clone().float() for k, v in candidates[chosen].items() if not k.endswith("position_ids")}
    for k in ("classifier.weight", "classifier.bias"):
        weights[k] /= temperature
    save_file({k: v.to(torch.float16).contiguous() for k, v in weights.items()},
              args.out / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict()
    for key in ("_name_or_path", "transformers_version", "gradient_checkpointing", "torch_dtype"):
        config.pop(key, None)
    config["dtype"] = "float32"  # what transformers computes in; the file itself stores F16
    config["hidden_dropout_prob"] = config["attention_probs_dropout_prob"] = 0.1  # the base's, whatever a run used
    config["problem_type"] = "single_label_classification"
    (args.out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tok = json.loads(tokenizer.backend_tokenizer.to_str())
    tok["truncation"] = tok["padding"] = None
    (args.out / "tokenizer.json").write_text(json.dumps(tok, ensure_ascii=False, separators=(",", ":")) + "\n")
    vocab = sorted(tok["model"]["vocab"], key=tok["model"]["vocab"].get)
    (args.out / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    (args.out / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True,
        "model_max_length": 512, "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]",
        "unk_token": "[UNK]", "mask_token": "[MASK]"}, indent=2) + "\n")

    stored = AutoModelForSequenceClassification.from_pretrained(args.out)
    tokenizer = AutoTokenizer.from_pretrained(args.out)
    report = {"chosen": chosen, "temperature": round(temperature, 4)}
    sets = {"dev": [(r.text, r.label) for r in dev],
            "dev_detokenized": [(textviews.detokenize(r.text), r.label) for r in dev],
            "held_out": [(r.text, r.label) for r in rows]}
    everyday = Path(__file__).resolve().parent.parent / "eval" / "everyday.tsv"
    if everyday.exists():
        sets["everyday"] = [(r.text, r.label) for r in data.read_tsv(everyday)]
    for name, pairs in sets.items():
        report[name] = {"rows": len(pairs), **calibration(predict(stored, tokenizer, [t for t, _ in pairs]), torch.tensor([y for _, y in pairs]))}
    (args.out / "metrics.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
