# SPDX-License-Identifier: Apache-2.0
"""A small DistilBERT with random weights, as transformers saves one and as the showcase's own
repository has it: config.json with its keys, vocab.txt and tokenizer_config.json, model.safetensors.

Standard library only, and the same bytes each time.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from array import array
from pathlib import Path

LAYERS, DIM, HEADS, HIDDEN, POSITIONS = 6, 96, 12, 384, 512
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "i love this movie is awful the a plot acting good bad great ! . , not very".split()


def tensors() -> list[tuple[str, list[int]]]:
    out = [("distilbert.embeddings.word_embeddings.weight", [len(vocabulary()), DIM]),
           ("distilbert.embeddings.position_embeddings.weight", [POSITIONS, DIM]),
           ("distilbert.embeddings.LayerNorm.weight", [DIM]), ("distilbert.embeddings.LayerNorm.bias", [DIM])]
    for i in range(LAYERS):
        at = f"distilbert.transformer.layer.{i}"
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            out += [(f"{at}.attention.{part}.weight", [DIM, DIM]), (f"{at}.attention.{part}.bias", [DIM])]
        out += [(f"{at}.sa_layer_norm.weight", [DIM]), (f"{at}.sa_layer_norm.bias", [DIM]),
                (f"{at}.ffn.lin1.weight", [HIDDEN, DIM]), (f"{at}.ffn.lin1.bias", [HIDDEN]),
                (f"{at}.ffn.lin2.weight", [DIM, HIDDEN]), (f"{at}.ffn.lin2.bias", [DIM]),
                (f"{at}.output_layer_norm.weight", [DIM]), (f"{at}.output_layer_norm.bias", [DIM])]
    return out + [("pre_classifier.weight", [DIM, DIM]), ("pre_classifier.bias", [DIM]),
                  ("classifier.weight", [2, DIM]), ("classifier.bias", [2])]


def vocabulary() -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return SPECIALS + WORDS + [c for c in letters if c not in WORDS] + [f"##{c}" for c in letters]


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    config = {
        "activation": "gelu", "architectures": ["DistilBertForSequenceClassification"], "attention_dropout": 0.1,
        "dim": DIM, "dropout": 0.1, "finetuning_task": "sst-2", "hidden_dim": HIDDEN,
        "id2label": {"0": "NEGATIVE", "1": "POSITIVE"}, "initializer_range": 0.02,
        "label2id": {"NEGATIVE": 0, "POSITIVE": 1}, "max_position_embeddings": POSITIONS, "model_type": "distilbert",
        "n_heads": HEADS, "n_layers": LAYERS, "output_past": True, "pad_token_id": 0, "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False, "tie_weights_": True, "vocab_size": len(vocabulary())}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512, "do_lower_case": true}')
    rng, at, header, body = random.Random(1), 0, {"__metadata__": {"format": "pt"}}, []
    for name, shape in tensors():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        norm = name.endswith("orm.weight") or name.endswith("norm.weight")
        values = array("f", (1.0 if norm else rng.uniform(-0.06, 0.06) for _ in range(count)))
        if sys.byteorder == "big":
            values.byteswap()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * count]}
        at += 4 * count
        body.append(values.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(body))
