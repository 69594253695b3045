# SPDX-License-Identifier: Apache-2.0
"""A BERT classifier so small that what is measured is the server around it: 2 layers of 32, random
weights that are the same on every machine, the vocabulary of 250 of the tests' golden models."""

from __future__ import annotations

import json
import random
import shutil
import struct
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "model" / "golden" / "bert-f32"
HIDDEN, FFN, LAYERS, HEADS, POSITIONS = 32, 64, 2, 4, 128


def shapes(vocabulary: int) -> dict[str, list[int]]:
    norm = {"LayerNorm.weight": [HIDDEN], "LayerNorm.bias": [HIDDEN]}
    found = {"bert.embeddings.word_embeddings.weight": [vocabulary, HIDDEN],
             "bert.embeddings.position_embeddings.weight": [POSITIONS, HIDDEN],
             "bert.embeddings.token_type_embeddings.weight": [2, HIDDEN]}
    found |= {f"bert.embeddings.{n}": s for n, s in norm.items()}
    for i in range(LAYERS):
        at = f"bert.encoder.layer.{i}."
        for part, to, of in (("attention.self.query", HIDDEN, HIDDEN), ("attention.self.key", HIDDEN, HIDDEN),
                             ("attention.self.value", HIDDEN, HIDDEN), ("attention.output.dense", HIDDEN, HIDDEN),
                             ("intermediate.dense", FFN, HIDDEN), ("output.dense", HIDDEN, FFN)):
            found |= {f"{at}{part}.weight": [to, of], f"{at}{part}.bias": [to]}
        for part in ("attention.output", "output"):
            found |= {f"{at}{part}.{n}": s for n, s in norm.items()}
    return found | {"bert.pooler.dense.weight": [HIDDEN, HIDDEN], "bert.pooler.dense.bias": [HIDDEN],
                    "classifier.weight": [2, HIDDEN], "classifier.bias": [2]}


def make(where: Path) -> Path:
    """Into the new directory `where`."""
    config = json.loads((GOLDEN / "config.json").read_text(encoding="utf-8"))
    config.update(hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS,
                  num_attention_heads=HEADS, max_position_embeddings=POSITIONS)
    where.mkdir()
    (where / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(GOLDEN / name, where / name)
    draw = random.Random(20)  # Python keeps random() of a seed the same over versions
    header, data = {}, bytearray()
    for name, shape in shapes(config["vocab_size"]).items():
        count = 1
        for n in shape:
            count *= n
        values = ([1.0] * count if name.endswith("LayerNorm.weight") else
                  [draw.random() * 0.4 - 0.2 for _ in range(count)])
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack(f"<{count}f", *values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (where / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return where
