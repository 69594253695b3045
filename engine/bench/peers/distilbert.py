# SPDX-License-Identifier: Apache-2.0
"""A DistilBERT-base classifier with random weights beside a given model's tokenizer."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def make(tokenizer_of: Path, out: Path) -> None:
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    torch.manual_seed(1)
    DistilBertForSequenceClassification(DistilBertConfig(num_labels=2)).save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(tokenizer_of / name, out / name)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
