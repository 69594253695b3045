# SPDX-License-Identifier: Apache-2.0
"""Which bytes a model is: the digest that the server puts into X-Model-Digest (docs/model-directory.md)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ._engine import ModelInvalidError

MANIFEST = "SHA256SUMS"


def files_of_load(directory: str | Path) -> list[str]:
    """Names of the files that a load reads, sorted."""
    root = Path(directory)
    names = {"config.json"}
    if (root / "tokenizer.json").exists():
        names.add("tokenizer.json")
    else:
        names.add("vocab.txt")
        if (root / "tokenizer_config.json").exists():
            names.add("tokenizer_config.json")
    index = root / "model.safetensors.index.json"
    if (root / "model.safetensors").exists() or not index.exists():
        names.add("model.safetensors")
    else:
        names.add(index.name)
        names.update(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return sorted(names)


def digest(directory: str | Path) -> str:
    """ "sha256:" and the SHA-256 of the manifest's canonical text. ModelInvalidError when the
    directory has a SHA256SUMS that says otherwise."""
    root = Path(directory)
    sums = {}
    for name in files_of_load(root):
        try:
            with open(root / name, "rb") as f:
                sums[name] = hashlib.file_digest(f, "sha256").hexdigest()
        except OSError as e:
            raise ModelInvalidError(f"{root}/{name} cannot be read: {e.strerror}") from e
    _check(root, sums)
    text = "".join(f"{value}  {name}\n" for name, value in sums.items())
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _check(root: Path, sums: dict[str, str]) -> None:
    path = root / MANIFEST
    if not path.exists():
        return
    listed = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        value, _, name = line.partition("  ")
        listed[name] = value
    for name, value in sums.items():
        if name not in listed:
            raise ModelInvalidError(f"{path} does not list {name}, which a load reads; write it again")
        if listed[name] != value:
            raise ModelInvalidError(f"{root / name} is not the file that {MANIFEST} lists; fetch the model again")
