# SPDX-License-Identifier: Apache-2.0
"""Write sst2-dev-detok.tsv from sst2-dev.tsv with the recipe's de-tokeniser."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "recipe"))
import data  # noqa: E402
import textviews  # noqa: E402

rows = data.read_tsv(HERE / "sst2-dev.tsv")
with open(HERE / "sst2-dev-detok.tsv", "w", encoding="utf-8", newline="\n") as f:
    f.write("label\ttext\n")
    f.writelines(f"{r.label}\t{textviews.detokenize(r.text)}\n" for r in rows)
