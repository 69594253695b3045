#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the seed corpora of fuzz_text and fuzz_tokenizer_json. Run from engine/."""
import json
import pathlib

import corpus

TEXTS = {
    "empty": b"", "plain": b"aab a.b A", "accents": "\u00e9e\u0301 \u00c5 \u0130i\u0307".encode(),
    "cjk": "\u4e2da\uf900\U0002f800".encode(), "hangul": "\uac00\u1100\u1161\u11a8".encode(),
    "marks": ("a" + "".join(corpus.MARKS)).encode(), "kept-marks": ("a\u302e\u0301\U0001d165\u0334" * 9).encode(),
    "controls": corpus.CONTROLS.encode(), "spaces": corpus.SPACES.encode(),
    "specials": b"[SEP] a[SEP][SE[SEP]]", "added": "qq aqq <r>  qq nai\u0308 NA\u00cf ".encode(),
    "long-99": b"a" * 99, "long-101": b"a" * 101, "long-word": b"ab" * 3000, "emoji": "\U0001f469\u200d\U0001f467".encode(),
    "bad-lone": b"a\x80", "bad-overlong": b"\xc0\xaf", "bad-surrogate": b"\xed\xa0\x80", "bad-cut": b"aaaa\xf0\x9f\x98",
    "bad-high": b"\xf4\x90\x80\x80", "punct": b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
}


def tokenizer(**changes):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    base = {
        "version": "1.0", "truncation": None,
        "added_tokens": [{"id": 2, "content": "[CLS]", **flags}, {"id": 3, "content": "[SEP]", **flags}],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100,
                  "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "##b": 5, "\u4e2d": 6}}}
    base.update(changes)
    return json.dumps(base, ensure_ascii=False).encode()


def main():
    text = pathlib.Path("fuzz/corpus/text")
    files = pathlib.Path("fuzz/corpus/tokenizer_json")
    for d in (text, files):
        d.mkdir(parents=True, exist_ok=True)
    for i, (name, data) in enumerate(TEXTS.items()):
        (text / name).write_bytes(bytes([i % 8, 5 if i % 2 else 250]) + data)
    special = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    model = json.loads(tokenizer())["model"]
    untyped = {k: v for k, v in model.items() if k != "type"}
    flags = {"single_word": True, "lstrip": True, "rstrip": True, "normalized": True, "special": False}
    seeds = {
        "good": tokenizer(),
        "template": tokenizer(post_processor={
            "type": "TemplateProcessing", "single": [special, {"Sequence": {"id": "A", "type_id": 0}}, special],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}}),
        "untyped-model": tokenizer(model=untyped), "bpe": tokenizer(model={"type": "BPE", "vocab": {}, "merges": []}),
        "sequence": tokenizer(normalizer={"type": "Sequence", "normalizers": []}),
        "added": tokenizer(added_tokens=[{"id": 7, "content": "<X>", **flags}, {"id": 8, "content": "\u00e9\u0001", **flags}]),
        "same-id": tokenizer(model={**model, "vocab": {"[UNK]": 0, "a": 0}}),
        "no-unk": tokenizer(model={**model, "vocab": {"a": 0}}),
        "prefix-empty": tokenizer(model={**model, "continuing_subword_prefix": ""}),
        "chars-0": tokenizer(model={**model, "max_input_chars_per_word": 0}),
        "cut": tokenizer()[:-9], "version": b'{"version":"2.0"}', "not-json": b"[UNK]\n[CLS]\n[SEP]\na\n##b\n",
        "vocab-crlf": b"[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na \r\n\r\na\r\n",
        "config": json.dumps({"do_lower_case": False, "cls_token": {"__type": "AddedToken", "content": "<x>", "lstrip": True},
                              "added_tokens_decoder": {"9": {"content": "q", "special": False}},
                              "extra_special_tokens": ["<y>"], "my_token": "z"}).encode(),
        "config-class": b'{"tokenizer_class":"RobertaTokenizer"}', "config-null": b'{"sep_token":null}',
    }
    for name, data in seeds.items():
        (files / name).write_bytes(data)


if __name__ == "__main__":
    main()
