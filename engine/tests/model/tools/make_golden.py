#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the small model directories of tests/model/golden and what transformers says about them.

    python make_golden.py [OUT_DIR]        (default: ../golden; needs torch, transformers, safetensors)

Each directory holds random weights and a vocabulary of a few hundred pieces. Its expected.txt is
computed by loading the finished directory with transformers in fp32, so that what is compared is
what a user of the directory would get. Lines of expected.txt:

    max_length N          tokens per text in what follows
    labels NAME\tNAME...   by index
    function softmax|sigmoid
    text ...              to the end of the line, UTF-8, may be empty
    ids 1 2 3             with special tokens, truncated
    logits 0.1 -0.2       nine significant digits: the fp32 value itself
    label 1               index of the highest logit
    confidence 0.9        its score
The same versions give the same files, byte for byte.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path

import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForSequenceClassification, BertConfig, BertTokenizerFast,
                          DistilBertConfig)

HERE = Path(__file__).resolve().parent
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = """the a an and of to in is it that this film movie was for with as but on not are be its one
have you so at or from by all like just who more about has they his what there if out her an even
good bad great awful love hate boring fun best worst story plot acting funny never ever very too much
really well made character time little work comedy drama cast script director ending music scene
would could make see than no nothing most some into up only way other does something know which
when will life people can their new think watch i me my we do did don t s re ll ve""".split()
PIECES = "##s ##ed ##ing ##er ##ly ##tion ##ness ##al ##ic ##able ##ment ##ful ##less ##est ##ive ##y".split()
MARKS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["…", "—", "“", "”", "’", "€", "中", "文", "好", "é", "ü", "ß"]

TEXTS = [
    "I love this movie!",
    "This is awful.",
    "",
    "   ",
    "The plot was boring, but the acting is really GREAT -- one of the best endings ever made...",
    "Don't watch it; you'll hate it (I did).",
    "naïve café, Zürich, Ångström: résumé",
    "电影很好 中文 test",
    "unbelievablylongwordthathasnopiecesatall x" + "y" * 120 + " end",
    "emoji 😀👍🏽 and symbols ∑ € ½ ™",
    "a\u00a0b\u2003c\u3000d",
    "[CLS] literal [SEP] specials [MASK]",
    "it " * 90,
    "very good film with a great script and music, well made and funny. " * 5,
    "3.5/5 — 100% of 12,345 people said: \"see it\"!",
]


def vocabulary(cased: bool) -> list[str]:
    singles = LETTERS + (LETTERS.upper() if cased else "") + "0123456789"
    words = WORDS + ([w.capitalize() for w in WORDS] if cased else [])
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += MARKS + list(singles) + ["##" + c for c in singles] + words + PIECES
    return list(dict.fromkeys(pieces))


def write_tokenizer(out: Path, cased: bool, files: str) -> BertTokenizerFast:
    (out / "vocab.txt").write_text("".join(p + "\n" for p in vocabulary(cased)), encoding="utf-8")
    if files != "vocab":
        (out / "tokenizer_config.json").write_text(json.dumps(
            {"do_lower_case": not cased, "tokenizer_class": "BertTokenizer"}, indent=2) + "\n")
    tokenizer = BertTokenizerFast.from_pretrained(out)
    if files == "json":
        tokenizer.save_pretrained(out)
        (out / "vocab.txt").unlink(missing_ok=True)
    return tokenizer


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Weights that make logits differ from text to text; also biases and norms, which start flat."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if "LayerNorm.weight" in name or "layer_norm.weight" in name:
                p.copy_(1 + 0.2 * noise)
            elif p.ndim == 1:
                p.copy_(0.1 * noise)
            elif "embeddings" in name:
                p.copy_(0.6 * noise)
            else:
                p.copy_(noise * (1.6 / math.sqrt(p.shape[1])))


CASES: dict[str, dict] = {
    "bert-f32": {"seed": 1, "dtype": "F32",
                 "config": dict(hidden_size=48, num_attention_heads=4, num_hidden_layers=2, intermediate_size=96,
                                max_position_embeddings=64),
                 "labels": ["NEGATIVE", "POSITIVE"]},
    "bert-cased-f16-5": {"seed": 2, "dtype": "F16", "cased": True,
                         "config": dict(hidden_size=64, num_attention_heads=2, num_hidden_layers=1,
                                        intermediate_size=100, max_position_embeddings=40, layer_norm_eps=1e-5),
                         "labels": ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]},
    "bert-multilabel-bf16": {"seed": 3, "dtype": "BF16", "problem": "multi_label_classification",
                             "config": dict(hidden_size=32, num_attention_heads=4, num_hidden_layers=3,
                                            intermediate_size=64, max_position_embeddings=48, type_vocab_size=1),
                             "labels": ["joy", "anger", "fear"]},
    "bert-one-label": {"seed": 4, "dtype": "F32",
                       "config": dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=1,
                                      intermediate_size=48, max_position_embeddings=32),
                       "labels": ["toxic"]},
    # Old names, no prefix, a buffer, mixed dtypes, and a config that leans on every default it can.
    "bert-old-names": {"seed": 5, "dtype": "mixed", "old_names": True, "bare": True, "files": "vocab",
                       "config": dict(hidden_size=36, num_attention_heads=12, num_hidden_layers=1,
                                      intermediate_size=72)},
    "distilbert-h36-f16": {"seed": 6, "dtype": "F16", "distil": True,
                           "config": dict(dim=36, n_heads=3, n_layers=4, hidden_dim=80, max_position_embeddings=50),
                           "labels": ["NEGATIVE", "POSITIVE"]},
    "distilbert-sharded": {"seed": 7, "dtype": "F32", "distil": True, "shards": True, "cased": True,
                           "files": "vocab+config",
                           "config": dict(dim=40, n_heads=5, n_layers=2, hidden_dim=64, max_position_embeddings=56),
                           "labels": ["a", "b", "c", "d", "e"]},
    "distilbert-multilabel-bf16": {"seed": 8, "dtype": "BF16", "distil": True,
                                   "problem": "multi_label_classification",
                                   "config": dict(dim=96, n_heads=2, n_layers=1, hidden_dim=64,
                                                  max_position_embeddings=33, sinusoidal_pos_embds=True),
                                   "labels": ["x", "y"]},
}


def store(state: dict[str, torch.Tensor], dtype: str) -> dict[str, torch.Tensor]:
    of = {"F32": [torch.float32], "F16": [torch.float16], "BF16": [torch.bfloat16],
          "mixed": [torch.float16, torch.float32, torch.bfloat16]}[dtype]
    return {name: (t.to(of[i % len(of)]) if t.is_floating_point() else t).contiguous()
            for i, (name, t) in enumerate(sorted(state.items()))}


def old_names(state: dict[str, torch.Tensor], positions: int) -> dict[str, torch.Tensor]:
    out = {}
    for name, t in state.items():
        name = name.removeprefix("bert.")
        out[name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")] = t
    out["embeddings.position_ids"] = torch.arange(positions).unsqueeze(0)
    return out


def make(name: str, case: dict, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    cased = case.get("cased", False)
    tokenizer = write_tokenizer(out, cased, case.get("files", "json"))
    kind = DistilBertConfig if case.get("distil") else BertConfig
    labels = case.get("labels")
    config = kind(**case["config"], vocab_size=len(vocabulary(cased)))
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: i for i, label in enumerate(labels)}
    config.problem_type = case.get("problem")
    model = AutoModelForSequenceClassification.from_config(config).eval()
    randomize(model, case["seed"])
    if case.get("shards"):
        model.save_pretrained(out, max_shard_size="40KB")
    else:
        state = model.state_dict()
        if case.get("old_names"):
            state = old_names(state, config.max_position_embeddings)
        save_file(store(state, case["dtype"]), out / "model.safetensors", metadata={"format": "pt"})
        config.architectures = [type(model).__name__]
        config.save_pretrained(out)
    if case.get("bare"):
        saved = json.loads((out / "config.json").read_text())
        keep = {"architectures", "model_type", "vocab_size"} | set(case["config"])
        (out / "config.json").write_text(json.dumps({k: v for k, v in saved.items() if k in keep}, indent=2) + "\n")
    for f in out.iterdir():
        f.chmod(0o644)
    expect(name, out, tokenizer)


def expect(name: str, out: Path, tokenizer: BertTokenizerFast) -> None:
    model, report = AutoModelForSequenceClassification.from_pretrained(
        out, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if report["missing_keys"] or report["mismatched_keys"]:
        raise SystemExit(f"{name}: transformers did not load the directory whole: {report}")
    model.eval()
    config = model.config
    max_length = min(128, config.max_position_embeddings)
    sigmoid = config.problem_type == "multi_label_classification" or config.num_labels == 1
    lines = [f"# transformers {transformers.__version__}, tokenizers {tokenizers.__version__}, "
             f"torch {torch.__version__.split('+')[0]}; made by tools/make_golden.py",
             f"max_length {max_length}",
             "labels " + "\t".join(config.id2label[i] for i in range(config.num_labels)),
             f"function {'sigmoid' if sigmoid else 'softmax'}"]
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        scores = logits.sigmoid() if sigmoid else logits.softmax(-1)
        label = int(logits.argmax())
        lines += ["text " + text, "ids " + " ".join(map(str, ids)),
                  "logits " + " ".join(f"{v:.9g}" for v in logits.tolist()),
                  f"label {label}", f"confidence {float(scores[label]):.9g}"]
    (out / "expected.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spread = [l.split()[1:] for l in lines if l.startswith("logits")]
    size = sum(f.stat().st_size for f in out.iterdir())
    print(f"{name}: {len(TEXTS)} texts, {config.num_labels} labels, {size / 1024:.0f} KB, "
          f"first logits {sorted({s[0] for s in spread})[:3]}")


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "golden"
    torch.manual_seed(0)
    for name, case in CASES.items():
        make(name, case, root / name)


if __name__ == "__main__":
    main()
