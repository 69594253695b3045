# SPDX-License-Identifier: Apache-2.0
"""What the peers share: ready-made token ids, padded per batch to its longest text (so tokenising is
not in their time), and the graph that ONNX Runtime and OpenVINO start from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy


class Padded:
    """prepare() for engines that take int64 ids and mask."""

    def __init__(self, model: Path):
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.enable_truncation(128)
        self.tokenizer.enable_padding()

    def prepare(self, texts: list[str]):
        enc = self.tokenizer.encode_batch(texts)
        return {"input_ids": numpy.array([e.ids for e in enc], dtype=numpy.int64),
                "attention_mask": numpy.array([e.attention_mask for e in enc], dtype=numpy.int64)}


def torch_model(model: Path, attention: str = "eager"):
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(model, attn_implementation=attention, dtype="float32").eval()


def export(model: Path, folder: Path) -> Path:
    """The plain graph, as torch exports it."""
    path = folder / "plain.onnx"
    if path.exists():
        return path
    import torch

    inner = torch_model(model)

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, input_ids, attention_mask):
            return self.inner(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {0: "b", 1: "s"}
    torch.onnx.export(Plain(), (ids, ids), str(path), input_names=["input_ids", "attention_mask"],
                      output_names=["logits"], dynamic_axes={"input_ids": axes, "attention_mask": axes},
                      opset_version=17, dynamo=False)
    return path


def sizes(model: Path) -> tuple[int, int]:
    config = json.loads((model / "config.json").read_text())
    return (config.get("num_attention_heads") or config["n_heads"], config.get("hidden_size") or config["dim"])
