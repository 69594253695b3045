#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write golden/tokenizer.json (a small vocabulary) and golden/ids.tsv with PyPI `tokenizers`.

    python gen_golden.py --tokenizer BERT_UNCASED/tokenizer.json --sst2 DIR_WITH_dev.tsv

ids.tsv: '#' lines are comments; else a text, escaped as %XX outside printable ASCII, and the ids
for each configuration of the first comment line, tab-separated, "=" for the same as one to the left.
The vocabulary is what these texts need of the given one, and pieces for each scalar that would
otherwise be [UNK], so that a wrong normalisation changes ids.
"""
import argparse
import json
import pathlib

import tokenizers
from tokenizers import Tokenizer

import corpus

REFERENCE = "0.23.3"
CONFIGS = [("uncased", {}), ("cased", {"lowercase": False}),
           ("cased-strip", {"lowercase": False, "strip_accents": True}),
           ("uncased-keep", {"strip_accents": False}), ("no-clean", {"clean_text": False}),
           ("no-cjk", {"handle_chinese_chars": False})]


def texts(sst2):
    out = [t for t in corpus.hard_texts() if len(t) <= 106]
    with open(pathlib.Path(sst2) / "dev.tsv", encoding="utf-8", newline="\n") as f:
        out += [line.rstrip("\n").split("\t")[1] for line in f][1:301]
    out += [t for t in corpus.random_texts(700, 7) if len(t) <= 60]
    return list(dict.fromkeys(out))


def small_vocab(base, list_of_texts):
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = set()
    for _, changes in CONFIGS:
        data = {**base, "normalizer": {**base["normalizer"], **changes}, "truncation": None, "padding": None}
        t = Tokenizer.from_str(json.dumps(data))
        for text in list_of_texts:
            tokens.update(t.encode(text).tokens)
            for word, _ in t.pre_tokenizer.pre_tokenize_str(t.normalizer.normalize_str(text)):
                if len(word) <= 100 and "[UNK]" in t.encode(word, add_special_tokens=False).tokens:
                    tokens.add(word[0])
                    tokens.update("##" + c for c in word[1:])
    tokens.update(c for c in map(chr, range(0x21, 0x7F)))
    tokens.update("##" + chr(c) for c in range(0x61, 0x7B))
    return {t: i for i, t in enumerate(specials + sorted(tokens - set(specials)))}


def escape(text):
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b not in b"%#=" else f"%{b:02X}" for b in text.encode("utf-8"))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--sst2", required=True)
    a = p.parse_args()
    assert tokenizers.__version__ == REFERENCE, tokenizers.__version__
    base = json.loads(pathlib.Path(a.tokenizer).read_text(encoding="utf-8"))
    list_of_texts = texts(a.sst2)
    vocab = small_vocab(base, list_of_texts)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    small = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": c, **flags} for c, i in list(vocab.items())[:5]],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {c: {"id": c, "ids": [vocab[c]], "tokens": [c]} for c in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    }
    folder = pathlib.Path(__file__).resolve().parent.parent / "golden"
    (folder / "tokenizer.json").write_text(json.dumps(small, ensure_ascii=False, separators=(",", ":")) + "\n",
                                           encoding="utf-8")
    references = []
    for _, changes in CONFIGS:
        references.append(Tokenizer.from_str(json.dumps(
            {**small, "normalizer": {**small["normalizer"], **changes}})))
    with open(folder / "ids.tsv", "w", encoding="ascii", newline="\n") as f:
        f.write("#\t" + "\t".join(name for name, _ in CONFIGS) + "\n")
        f.write(f"# made by tests/text/tools/gen_golden.py with PyPI tokenizers {REFERENCE}\n")
        for text in list_of_texts:
            columns, last = [], None
            for r in references:
                ids = " ".join(map(str, r.encode(text).ids[1:-1]))
                columns.append("=" if ids == last else ids)
                last = ids
            f.write("\t".join([escape(text), *columns]) + "\n")
    print(len(list_of_texts), "texts,", len(vocab), "tokens")


if __name__ == "__main__":
    main()
