#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What transformers says about pairs of texts: pairs.txt in the directories of tests/model/golden.

    python make_pairs.py [GOLDEN_DIR]      (default: ../golden; needs torch, transformers)

Lines of pairs.txt, for each pair:

    side right|left        where the longer text is cut (truncation longest_first)
    text ...               to the end of the line, UTF-8, may be empty
    pair ...               the second text
    ids 1 2 3              [CLS] A [SEP] B [SEP], at most expected.txt's max_length
    second 7               how many tokens have type 0
    logits 0.1 -0.2        nine significant digits: the fp32 value itself
A model whose type_vocab_size is 1 has no such file. The same versions give the same files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tokenizers
import torch
import transformers
from make_golden import HERE, TEXTS
from transformers import AutoModelForSequenceClassification, BertTokenizerFast

LONG = "very good film with a great script and music, well made and funny. "
PAIRS = [
    ("I love this movie!", "This is awful."),
    ("This is awful.", "I love this movie!"),
    ("same words", "same words"),
    ("", "I love this movie!"),
    ("I love this movie!", "   "),
    ("", ""),
    (TEXTS[4], TEXTS[6]),
    (TEXTS[11], TEXTS[9]),
    ("short", LONG * 5),
    (LONG * 5, "short"),
    (LONG * 6, LONG * 5),
    (LONG * 5, LONG * 6),
    (LONG * 5, LONG * 5),
    ("it " * 70, "bad " * 71),
    ("it " * 71, "bad " * 70),
]


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "golden"
    for out in sorted(p for p in root.iterdir() if (p / "config.json").exists()):
        model = AutoModelForSequenceClassification.from_pretrained(
            out, dtype=torch.float32, attn_implementation="eager").eval()
        typed = hasattr(model.config, "type_vocab_size")
        if typed and model.config.type_vocab_size < 2:
            continue
        # not by calling the tokenizer: that takes an empty second text for none
        tokenizer = BertTokenizerFast.from_pretrained(out).backend_tokenizer
        max_length = min(128, model.config.max_position_embeddings)
        lines = [f"# transformers {transformers.__version__}, tokenizers {tokenizers.__version__}, "
                 f"torch {torch.__version__.split('+')[0]}; made by tools/make_pairs.py"]
        for side in ("right", "left"):
            tokenizer.enable_truncation(max_length, strategy="longest_first", direction=side)
            for text, pair in PAIRS:
                e = tokenizer.encode(text, pair)
                ids, types = e.ids, e.type_ids
                second = types.index(1)
                assert types == [0] * second + [1] * (len(ids) - second)
                extra = {"token_type_ids": torch.tensor([types])} if typed else {}
                with torch.no_grad():
                    logits = model(torch.tensor([ids]), **extra).logits[0]
                lines += [f"side {side}", "text " + text, "pair " + pair, "ids " + " ".join(map(str, ids)),
                          f"second {second}", "logits " + " ".join(f"{v:.9g}" for v in logits.tolist())]
        (out / "pairs.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{out.name}: {2 * len(PAIRS)} pairs, {len(set(lines))} distinct lines")


if __name__ == "__main__":
    main()
