# SPDX-License-Identifier: Apache-2.0
"""Models for swap.py: one that says the opposite, and damaged ones."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from pathlib import Path


def read_tensors(path: Path) -> tuple[dict, bytearray]:
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0])), bytearray(f.read())


def write_tensors(path: Path, header: dict, data: bytearray) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def exchange_labels(model: Path) -> None:
    header, data = read_tensors(model / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        begin, end = header[name]["data_offsets"]
        half = (end - begin) // 2
        data[begin:end] = data[begin + half:end] + data[begin:begin + half]
    write_tensors(model / "model.safetensors", header, data)


def damage(model: Path, how: int, chance: random.Random) -> str:
    """One fault; its name."""
    weights = model / "model.safetensors"
    size = weights.stat().st_size
    kind = ("flip a bit", "cut", "no config", "wrong shapes", "no weights", "bad manifest",
            "unlisted file", "NaN")[how % 8]
    if kind == "flip a bit":
        with open(weights, "r+b") as f:
            at = chance.randrange(size)
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << chance.randrange(8)]))
    elif kind == "cut":
        os.truncate(weights, chance.randrange(size))
    elif kind == "no config":
        (model / "config.json").unlink()
    elif kind == "wrong shapes":
        (model / "SHA256SUMS").unlink()
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        for key in ("hidden_size", "dim"):
            if key in config:
                config[key] *= 2
        (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    elif kind == "no weights":
        weights.unlink()
    elif kind == "bad manifest":
        (model / "SHA256SUMS").write_text("no manifest\n", encoding="ascii")
    elif kind == "unlisted file":
        lines = (model / "SHA256SUMS").read_text(encoding="ascii").splitlines(True)
        (model / "SHA256SUMS").write_text("".join(lines[:-1]), encoding="ascii")
    else:
        (model / "SHA256SUMS").unlink()
        header, data = read_tensors(weights)
        begin, end = header["classifier.bias"]["data_offsets"]
        data[begin:end] = b"\xff" * (end - begin)
        write_tensors(weights, header, data)
    return kind


def spoil(good: Path, bad: Path, how: int) -> str:
    """A damaged copy of a good model; the name of its fault."""
    shutil.rmtree(bad, ignore_errors=True)
    shutil.copytree(good, bad)
    return damage(bad, how, random.Random(how))
