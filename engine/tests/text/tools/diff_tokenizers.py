#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare the C tokenizer with PyPI `tokenizers`, id by id.

    python diff_tokenizers.py --driver BUILD/tok_driver --tokenizer tokenizer.json
        [--sst2 DIR] [--normtest NormalizationTest.txt] [--random 1000000] [--seed 1] [--quick]

Configurations: the given tokenizer.json and variants of it (cased, strip_accents both ways, no
clean-up, no CJK spacing), the same with flagged added tokens, and a vocabulary of every scalar, with
which no difference can hide behind [UNK]. Prints a table of counts; the exit status is 1 on any
difference, or when the control (ids of one configuration against another) finds none.
"""
import argparse
import bz2
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

import tokenizers
from tokenizers import Tokenizer

import corpus

REFERENCE = "0.23.3"
BATCH = 20000


def scalars():
    return (chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)


def read_sst2(folder):
    """The sentences of whichever of SST-2's files are there."""
    for name in ("train.tsv", "dev.tsv"):
        if not os.path.exists(os.path.join(folder, name)):
            continue
        with open(os.path.join(folder, name), encoding="utf-8", newline="\n") as f:
            next(f)
            for line in f:
                yield line.rstrip("\n").split("\t")[1]


def read_normtest(path):
    opener = bz2.open if path.endswith(".bz2") else open
    with opener(path, "rt", encoding="utf-8") as f:
        for line in f:
            if line[0] not in "#@\n":
                for column in line.split(";")[:5]:
                    yield "".join(chr(int(x, 16)) for x in column.split())


def variant(base, normalizer=None, **changes):
    data = json.loads(json.dumps(base))
    data["truncation"] = data["padding"] = None
    data["normalizer"].update(normalizer or {})
    data.update(changes)
    return data


def added_tokens(base):
    """Flags of every kind, prefixes of each other, spaces, and contents that change when normalised."""
    out = [dict(t) for t in base["added_tokens"]]
    n = len(base["model"]["vocab"])
    for content, flags in [
            ("qq", "single_word"), ("qqx", ""), ("<l>", "lstrip"), ("<r>", "rstrip"), ("<lr>", "lstrip rstrip"),
            (" sp ace ", ""), ("  ", ""), ("NaÏve", "normalized"), ("Caf\u00e9", "normalized single_word lstrip"),
            ("\u4e2d\u6587", "normalized"), ("<R>n", "normalized rstrip"), ("\u0130s", "normalized"),
            ("ab", "normalized"), ("abc", "normalized rstrip lstrip"), ("\u0301\u0301", ""), ("\u00e9", "single_word")]:
        known = base["model"]["vocab"].get(content)
        out.append({"id": n if known is None else known, "content": content, "special": False,
                    **{k: k in flags.split() for k in ("single_word", "lstrip", "rstrip", "normalized")}})
        n += known is None
    return out


def added_texts(count, seed):
    import random
    rng = random.Random(seed)
    bits = ["qq", "qqx", "qqq", "<l>", "<r>", "<lr>", " sp ace ", "  ", "sp ace", "na\u00efve", "NAIVE", "nai\u0308ve",
            "caf\u00e9", "CAFE", "cafe\u0301s", "\u4e2d\u6587", "\u4e2d \u6587", "<R>n", "<r>n", "\u0130s", "i\u0307s", "is", "ab", "abc",
            "ABC", "abcd", "\u0301\u0301", "\u00e9", "x", "_", "\u0301", " ", " ", "\t", "\u2003", "\x85", ".", "\U0001f600", "\u200d",
            "\u24b6", "\u0661", "[SEP]", "[MASK]", "a"]
    for _ in range(count):
        yield "".join(rng.choices(bits, k=rng.randint(1, 9)))


def all_scalars_vocab():
    vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    for c in scalars():
        vocab[c] = len(vocab)
        vocab["##" + c] = len(vocab)
    return vocab


class Config:
    def __init__(self, name, data, folder):
        self.name = name
        self.path = os.path.join(folder, name + ".json")
        with open(self.path, "w", encoding="utf-8") as f:
            json.dump(data, f, ensure_ascii=False)
        self.reference = None

    def load(self):
        self.reference = Tokenizer.from_file(self.path)

    def unload(self):
        self.reference = None


def run_driver(driver, config, texts, folder):
    """Counts and ids of all texts, as one iterator over lists."""
    source, sink = os.path.join(folder, "in.bin"), os.path.join(folder, "out.bin")
    with open(source, "wb") as f:
        for t in texts:
            b = t.encode("utf-8")
            f.write(struct.pack("<I", len(b)) + b)
    with open(source, "rb") as i, open(sink, "wb") as o:
        subprocess.run([driver, "json", config.path], stdin=i, stdout=o, check=True)
    with open(sink, "rb") as f:
        while head := f.read(4):
            n, = struct.unpack("<I", head)
            yield None if n == 0xFFFFFFFF else list(struct.unpack(f"<{n}i", f.read(4 * n)))


def compare(driver, config, reference, make_texts, folder, show):
    """(texts, differences)."""
    total = wrong = 0
    ours = run_driver(driver, config, make_texts(), folder)
    batch = []

    def flush():
        nonlocal wrong
        for t, e in zip(batch, reference.encode_batch_fast(batch)):
            got = next(ours)
            if got != e.ids:
                wrong += 1
                if wrong <= show:
                    print(f"  DIFFERENT {config.name}: {t!r}\n    want {e.ids}\n    got  {got}")
        batch.clear()

    for t in make_texts():
        batch.append(t)
        total += 1
        if len(batch) == BATCH:
            flush()
    flush()
    assert next(ours, None) is None
    return total, wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--driver", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--sst2")
    p.add_argument("--normtest", default="/usr/share/unicode/NormalizationTest.txt.bz2")
    p.add_argument("--random", type=int, default=1000000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", default="", help="configurations whose names start with this")
    p.add_argument("--quick", action="store_true", help="only the uncased configuration")
    a = p.parse_args()
    assert tokenizers.__version__ == REFERENCE, tokenizers.__version__
    with open(a.tokenizer, encoding="utf-8") as f:
        base = json.load(f)

    def rand(share):
        return lambda: corpus.random_texts(int(a.random * share), a.seed)

    every = {"alone": scalars, "a<c>b": lambda: ("a" + c + "b" for c in scalars()),
             "normtest": lambda: read_normtest(a.normtest), "hard": corpus.hard_texts}
    if a.sst2:
        every["sst2"] = lambda: read_sst2(a.sst2)
    bad = 0
    grand = 0
    with tempfile.TemporaryDirectory() as folder:
        plan = [(Config("uncased", variant(base), folder), {**every, "random": rand(1)})]
        if not a.quick:
            # no [UNK] to hide behind: every scalar is a token
            model = {**base["model"], "vocab": all_scalars_vocab(), "max_input_chars_per_word": 100}
            ids = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
            whole = {"model": model, "added_tokens": [{**t, "id": ids[t["content"]]} for t in base["added_tokens"]],
                     "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}}
            plan += [
                (Config("cased", variant(base, {"lowercase": False}), folder), {**every, "random": rand(1)}),
                (Config("cased-strip", variant(base, {"lowercase": False, "strip_accents": True}), folder),
                 {**every, "random": rand(0.1)}),
                (Config("uncased-keep", variant(base, {"strip_accents": False}), folder),
                 {**every, "random": rand(0.1)}),
                (Config("no-clean", variant(base, {"clean_text": False}), folder), {**every, "random": rand(0.1)}),
                (Config("no-cjk", variant(base, {"handle_chinese_chars": False}), folder),
                 {**every, "random": rand(0.1)}),
                (Config("added", variant(base, added_tokens=added_tokens(base)), folder),
                 {"hard": corpus.hard_texts, "random": rand(0.1), "added": lambda: added_texts(a.random // 5, a.seed)}),
                (Config("added-cased", variant(base, {"lowercase": False}, added_tokens=added_tokens(base)), folder),
                 {"random": rand(0.1), "added": lambda: added_texts(a.random // 5, a.seed + 1)}),
                (Config("all-uncased", variant(base, **whole), folder), {**every, "random": rand(0.2)}),
                (Config("all-cased", variant(base, {"lowercase": False}, **whole), folder), {**every, "random": rand(0.2)}),
                (Config("all-cased-strip", variant(base, {"lowercase": False, "strip_accents": True}, **whole), folder),
                 {**every, "random": rand(0.2)}),
                (Config("all-keep", variant(base, {"strip_accents": False}, **whole), folder), {**every, "random": rand(0.2)}),
                (Config("all-no-clean", variant(base, {"clean_text": False}, **whole), folder),
                 {**every, "random": rand(0.2)}),
            ]
        for config, sets in plan:
            if not config.name.startswith(a.only):
                continue
            config.load()
            for name, make in sets.items():
                begin = time.time()
                total, wrong = compare(a.driver, config, config.reference, make, folder, 5)
                print(f"{config.name:16} {name:9} {total:9} texts {wrong:6} differences  {time.time() - begin:6.1f} s",
                      flush=True)
                bad += wrong
                grand += total
            config.unload()
        # control: the comparison must see a tokenizer that is not the reference's
        config = plan[0][0]
        other = Tokenizer.from_str(json.dumps(variant(base, {"lowercase": False})))
        total, seen = compare(a.driver, config, other, corpus.hard_texts, folder, 0)
        print(f"control: {seen} of {total} texts differ from a cased reference (must not be 0)")
    print(f"total: {grand} texts, {bad} differences")
    sys.exit(1 if bad or not seen else 0)


if __name__ == "__main__":
    main()
