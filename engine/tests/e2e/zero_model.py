# SPDX-License-Identifier: Apache-2.0
"""A BERT of any size whose weights are all zero, in a file that takes no disk space: for tests that
need a model that is slow to load or to run, not one that is right. Every text gets 0.5."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path


def make(where: str | Path, small: str | Path, hidden: int, ffn: int, layers: int) -> str:
    """Scale the small BERT directory `small` up into the new directory `where`."""
    small, where = Path(small), Path(where)
    config = json.loads((small / "config.json").read_text(encoding="utf-8"))
    with open(small / "model.safetensors", "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
    scale = {config["hidden_size"]: hidden, config["intermediate_size"]: ffn}
    names = [n for n in header if n != "__metadata__" and ".layer." not in n]
    names += [n.replace(".layer.0.", f".layer.{i}.") for i in range(layers)
              for n in header if ".layer.0." in n]
    tensors, at = {"__metadata__": {"format": "pt"}}, 0
    for name in names:
        origin = name
        if ".layer." in name:
            prefix, rest = name.split(".layer.")
            origin = f"{prefix}.layer.0.{rest.split('.', 1)[1]}"
        shape = [scale.get(n, n) for n in header[origin]["shape"]]
        count = 1
        for n in shape:
            count *= n
        tensors[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * count]}
        at += 4 * count
    config.update(hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers)
    where.mkdir()
    (where / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(small / name, where / name)
    text = json.dumps(tensors).encode()
    text += b" " * (-len(text) % 8)
    with open(where / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + at)
    return str(where)
