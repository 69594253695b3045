# SPDX-License-Identifier: Apache-2.0
"""A DistilBERT-base classifier with random weights and the default model's vocabulary: the size of the
showcase's model without its download. Every machine makes the same bytes.

    python distilbert.py OUT
"""

from __future__ import annotations

import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

TOKENIZER = Path(__file__).resolve().parents[2] / "models" / "sst2-minilm-l6"
HIDDEN, FFN, LAYERS, HEADS, POSITIONS, VOCABULARY = 768, 3072, 6, 12, 512, 30522


def shapes() -> dict[str, list[int]]:
    at = "distilbert.embeddings."
    found = {f"{at}word_embeddings.weight": [VOCABULARY, HIDDEN], f"{at}position_embeddings.weight": [POSITIONS, HIDDEN],
             f"{at}LayerNorm.weight": [HIDDEN], f"{at}LayerNorm.bias": [HIDDEN]}
    for i in range(LAYERS):
        at = f"distilbert.transformer.layer.{i}."
        for part, to, of in (("attention.q_lin", HIDDEN, HIDDEN), ("attention.k_lin", HIDDEN, HIDDEN),
                             ("attention.v_lin", HIDDEN, HIDDEN), ("attention.out_lin", HIDDEN, HIDDEN),
                             ("ffn.lin1", FFN, HIDDEN), ("ffn.lin2", HIDDEN, FFN)):
            found |= {f"{at}{part}.weight": [to, of], f"{at}{part}.bias": [to]}
        for part in ("sa_layer_norm", "output_layer_norm"):
            found |= {f"{at}{part}.weight": [HIDDEN], f"{at}{part}.bias": [HIDDEN]}
    return found | {"pre_classifier.weight": [HIDDEN, HIDDEN], "pre_classifier.bias": [HIDDEN],
                    "classifier.weight": [2, HIDDEN], "classifier.bias": [2]}


def make(out: Path) -> Path:
    """Into `out`, unless it is there."""
    if (out / "model.safetensors").exists():
        return out
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    tensors, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes().items():
        size = 4 * int(np.prod(shape))
        tensors[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(tensors).encode()
    head += b" " * (-len(head) % 8)
    draft = out / "model.safetensors.new"
    with open(draft, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        for name, shape in shapes().items():
            norm = "LayerNorm" in name or "layer_norm" in name
            if name.endswith("bias"):
                values = np.zeros(shape, np.float32)
            elif norm:
                values = np.ones(shape, np.float32)
            else:
                values = rng.standard_normal(shape, np.float32) * np.float32(0.02)
            f.write(values.tobytes())
    (out / "config.json").write_text(json.dumps({
        "architectures": ["DistilBertForSequenceClassification"], "model_type": "distilbert", "activation": "gelu",
        "dim": HIDDEN, "hidden_dim": FFN, "n_layers": LAYERS, "n_heads": HEADS, "max_position_embeddings": POSITIONS,
        "vocab_size": VOCABULARY, "pad_token_id": 0, "sinusoidal_pos_embds": False, "dropout": 0.1,
        "attention_dropout": 0.1, "seq_classif_dropout": 0.2,
        "id2label": {"0": "NEGATIVE", "1": "POSITIVE"}, "label2id": {"NEGATIVE": 0, "POSITIVE": 1}}), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(TOKENIZER / name, out / name)
    draft.rename(out / "model.safetensors")
    return out


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
