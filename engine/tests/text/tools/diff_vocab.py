#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare vocab.txt directories with what transformers loads for them.

    python diff_vocab.py --driver BUILD/tok_driver      (PyPI transformers 5.23, tokenizers 0.23.3)

Each case is a vocab.txt and a tokenizer_config.json (or none). Where BertTokenizerFast loads the
directory, our ids must be its ids; where we refuse what it loads, the case says so, and why.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

from transformers import BertTokenizerFast

VOCAB = ("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##c\nc\n<s>\n</s>\nfoo\nA\ne\n\u00e9\n\u4e2d\n\u4e2d\u6587\n"
         "##\u6587\n[\n]\ncls\nunk\n##b\n.\nqq\nNone\n")
TEXTS = ["a [SEP] b [MASK] [UNK]", "A b \u00e9 c", "[CLS]", "", "ab bc abc", "foo fooA <s>x</s> <new> [PAD]",
         "\u4e2d\u6587 \u4e2d\u6587c", "A<s> b </s>.", "xFoo Foo foo", "<x> <y>  <my>", "[cls][CLS] cls", "a  Qq b", "a\u0301c",
         "<img>a <img>", "zz z", "None none"]


def at(content, **flags):
    return {"__type": "AddedToken", "content": content, "lstrip": False, "rstrip": False, "normalized": False,
            "single_word": False, **flags}


CASES = [
    ("plain", VOCAB, None),
    ("no config keys", VOCAB, {}),
    ("crlf", VOCAB.replace("\n", "\r\n"), None),
    ("no last LF", VOCAB[:-1], None),
    ("duplicate lines", VOCAB + "a\nz\n\u00e9\n", None),
    ("spaces", VOCAB + "x y\ntrail  \n lead\n\u2028\nq\u00a0\n\x0b\nk\rl\nm\r\r\n", None),
    ("blank lines", "\n" + VOCAB + "\n\n", None),
    ("byte order mark", "\ufeff[PAD]\n" + VOCAB, None),
    ("specials missing", "[UNK]\na\nb\n", None),
    ("cased", VOCAB, {"do_lower_case": False}),
    ("cased strip", VOCAB, {"do_lower_case": False, "strip_accents": True}),
    ("keep accents", VOCAB, {"strip_accents": False}),
    ("strip null", VOCAB, {"strip_accents": None}),
    ("no cjk", VOCAB, {"tokenize_chinese_chars": False}),
    ("string names", VOCAB, {"cls_token": "<s>", "sep_token": "</s>", "unk_token": "foo", "pad_token": "a"}),
    ("object names", VOCAB, {"cls_token": at("<s>", lstrip=True, single_word=True), "sep_token": at("</s>", rstrip=True)}),
    ("object normalized", VOCAB, {"mask_token": at("Foo", normalized=True, special=True)}),
    ("null mask", VOCAB, {"mask_token": None, "pad_token": None}),
    ("decoder", VOCAB, {"added_tokens_decoder": {
        "0": {"content": "[PAD]", "special": True},
        "5": {"content": "Foo", "lstrip": True, "rstrip": False, "single_word": True, "normalized": True, "special": False},
        "100": {"content": "<new>", "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}}}),
    ("decoder order", VOCAB, {"added_tokens_decoder": {
        "101": {"content": "<x>", "special": False}, "9": {"content": "<y>", "special": False},
        "30": {"content": "zz", "special": False, "normalized": True}}}),
    ("decoder specials", VOCAB, {"added_tokens_decoder": {
        "2": {"content": "[CLS]", "normalized": True, "special": True, "lstrip": True},
        "3": {"content": "[SEP]", "special": False}}, "additional_special_tokens": ["<x>", "foo"]}),
    ("additional", VOCAB, {"additional_special_tokens": ["<x>", at("<y>", lstrip=True), "foo"]}),
    ("additional null", VOCAB, {"additional_special_tokens": None}),
    ("extra list", VOCAB, {"extra_special_tokens": ["<x>"], "additional_special_tokens": ["<y>"]}),
    ("extra map", VOCAB, {"extra_special_tokens": {"img_token": "<img>"}, "bos_token": "<s>", "my_token": "<my>"}),
    ("model token object", VOCAB, {"my_token": at("<my>", rstrip=True), "ab_token": "<x>"}),
    ("split specials", VOCAB, {"split_special_tokens": True}),
    ("classes", VOCAB, {"tokenizer_class": "DistilBertTokenizer"}),
    ("ignored keys", VOCAB, {"clean_text": False, "do_basic_tokenize": False, "never_split": ["A"],
                             "model_max_length": 512, "max_input_chars_per_word": 1, "padding_side": "left"}),
]
# the reference loads these (or half of it), we do not
REFUSED = [
    ("unk missing", "[CLS]\n[SEP]\na\n", None, "unknown token"),
    ("empty", "", None, "empty"),
    ("colliding id", "[UNK]\na\na\nb\n", None, "duplicate lines"),
    ("null cls", VOCAB, {"cls_token": None}, "null"),
    ("other class", VOCAB, {"tokenizer_class": "RobertaTokenizer"}, "RobertaTokenizer"),
    ("string bool", VOCAB, {"do_lower_case": "false"}, "do_lower_case"),
    ("null bool", VOCAB, {"do_lower_case": None}, "do_lower_case"),
]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--driver", required=True)
    a = p.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as tmp:
        def run(name, vocab, config):
            d = pathlib.Path(tmp) / name.replace(" ", "-")
            d.mkdir()
            (d / "vocab.txt").write_bytes(vocab.encode("utf-8"))
            if config is not None:
                (d / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
            args = [a.driver, "vocab", d / "vocab.txt", d / "tokenizer_config.json" if config is not None else "-"]
            data = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in TEXTS)
            return d, subprocess.run(args, input=data, capture_output=True)

        for name, vocab, config in CASES:
            d, r = run(name, vocab, config)
            reference = BertTokenizerFast.from_pretrained(d)
            out, ours = r.stdout, []
            while out:
                n, = struct.unpack_from("<I", out)
                ours.append(list(struct.unpack_from(f"<{n}i", out, 4)))
                out = out[4 + 4 * n:]
            want = [reference(t)["input_ids"] for t in TEXTS]
            if ours != want:
                bad += 1
                print(f"DIFFERENT {name}: {r.stderr.decode()}")
                for t, w, o in zip(TEXTS, want, ours or [None] * len(TEXTS)):
                    if w != o:
                        print(f"  {t!r}\n    want {w}\n    got  {o}")
        for name, vocab, config, why in REFUSED:
            _, r = run(name, vocab, config)
            if r.returncode == 0 or why not in r.stderr.decode():
                bad += 1
                print(f"NOT REFUSED {name}: {r.stderr.decode()}")
    print(f"{len(CASES)} directories x {len(TEXTS)} texts, {len(REFUSED)} refusals: {bad} wrong")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
