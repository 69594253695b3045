# SPDX-License-Identifier: Apache-2.0
"""Texts for tokenizer comparisons: hand-picked hard ones and seeded random ones."""
import random

SPECIALS = ["[SEP]", "[CLS]", "[MASK]", "[UNK]", "[PAD]", "[unused1]", "[SE", "[[SEP]]", "[sep]",
            "[SEP", "SEP]", "[MASK][MASK]", " [MASK] "]
SPACES = " \t\n\r\v\f\x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
CONTROLS = ("\0\x01\x07\x08\x1b\x1c\x1d\x1e\x1f\x7f\x80\x84\x9f\xad\u061c\u200b\u200c\u200d\u200e"
            "\u2060\ufeff\ufff9\ufffd\uffff\ue000\U000e0001\U000f0000\U0010ffff\u0378")
# non-starters, among them those that accent stripping keeps (not Mn, or not Mn to the reference)
MARKS = [chr(c) for c in [*range(0x300, 0x370), 0x483, 0x591, 0x5B0, 0x64B, 0x670, 0x93C, 0x94D, 0x9BC,
                          0xE38, 0xE48, 0xF71, 0xF72, 0xF74, 0x1AB0, 0x1DC0, 0x1DCE, 0x20D0, 0x20DD,
                          0x302A, 0x302E, 0x302F, 0x3099, 0xFE20, 0x16FF0, 0x16FF1, 0x1D165, 0x1D166,
                          0x1D16D, 0x1D16E, 0x1D172, 0x1E000, 0x1E2AE, 0x1E4EC, 0x10EAB, 0x8D3, 0x8CA,
                          0x1734, 0x180F, 0x1ABF, 0x1DFA,
                          # marks of class 0: starters to the reordering
                          0x941, 0xE31, 0x1058, 0x17B7]]


def _span(a, b):
    return [chr(c) for c in range(a, b + 1) if not 0xD800 <= c < 0xE000]


POOLS = [
    _span(0x20, 0x7E), _span(0x61, 0x7A), _span(0x41, 0x5A), _span(0xA1, 0x17F), _span(0x180, 0x24F),
    _span(0x370, 0x3FF), _span(0x400, 0x52F), _span(0x531, 0x58F), _span(0x590, 0x6FF),
    _span(0x700, 0x8FF), _span(0x900, 0xDFF), _span(0xE00, 0xFFF), _span(0x1000, 0x109F),
    _span(0x10A0, 0x10FF), _span(0x1100, 0x11FF), _span(0x13A0, 0x13FF), _span(0x1400, 0x1FFF),
    _span(0x1E00, 0x1FFF), _span(0x2000, 0x206F), _span(0x2070, 0x2BFF), _span(0x2C00, 0x2E7F),
    _span(0x3000, 0x30FF), _span(0x3130, 0x33FF), _span(0x3400, 0x9FFF), _span(0xA000, 0xABFF),
    _span(0xAC00, 0xD7FF), _span(0xF900, 0xFAFF), _span(0xFB00, 0xFFFF), _span(0x10000, 0x10FFF),
    _span(0x11000, 0x11FFF), _span(0x16000, 0x18FFF), _span(0x1B000, 0x1D1FF), _span(0x1D400, 0x1DFFF),
    _span(0x1E000, 0x1EFFF), _span(0x1F000, 0x1FAFF), _span(0x20000, 0x2FA1F), list(SPACES),
    list(CONTROLS), MARKS,
]
WORDS = ("the of film movie it's don't great awful not very n't rock-n-roll $9.99 50% e-mail U.S.A. "
         "na\u00efve caf\u00e9 Stra\u00dfe \u0130stanbul I\u0307stanbul \u039f\u0394\u039f\u03a3 \u03c3\u03bf\u03c6\u03cc\u03c2 \u041f\u0440\u0438\u0432\u0435\u0442 "
         "\u0639\u0631\u0628\u064a \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22 \ud55c\uad6d\uc5b4 "
         "\u1112\u1161\u11ab \u4e2d\u6587 \u65e5\u672c\u8a9e\u30c6\u30b9\u30c8 \U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f1e9\U0001f1ea "
         "\U0001f44d\U0001f3fd unaffable electroencephalogram ##ing a##b").split(" ")


def random_text(rng):
    """One text of mixed scripts, marks, controls, literals and now and then a very long word."""
    parts = []
    for _ in range(rng.randint(1, 6)):
        kind = rng.random()
        if kind < 0.30:
            parts.append(rng.choice(WORDS))
        elif kind < 0.55:
            parts.append("".join(rng.choices(rng.choice(POOLS), k=rng.randint(1, 8))))
        elif kind < 0.70:
            pool = rng.choice(POOLS)
            parts.append("".join(rng.choice(pool) + "".join(rng.choices(MARKS, k=rng.randint(0, 4)))
                                 for _ in range(rng.randint(1, 5))))
        elif kind < 0.80:
            parts.append(rng.choice(SPECIALS))
        elif kind < 0.90:
            pools = [rng.choice(POOLS) for _ in range(3)]
            parts.append("".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 12))))
        elif kind < 0.98:
            c = rng.randrange(0x110000)
            parts.append(chr(c if not 0xD800 <= c < 0xE000 else 0xE9))
        elif kind < 0.998:
            unit = rng.choice(WORDS + ["a", "x", "\u00e9", "\u4e2d", "a\u0301"])
            n = rng.randint(95, 106)
            parts.append((unit * n)[:n])
        else:
            unit = rng.choice(WORDS + MARKS + ["e\u0327\u0301\u0334"])
            parts.append("x" + unit * rng.randint(50, 1500))
        if rng.random() < 0.7:
            parts.append(rng.choice(SPACES) if rng.random() < 0.3 else " ")
    return "".join(parts)


def random_texts(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        yield random_text(rng)


def hard_texts():
    """Edge cases by hand; order is part of the golden file."""
    out = ["", " ", "\n", "a", "A", "I love this!", "This is awful.", *WORDS, *SPECIALS]
    for n in (1, 98, 99, 100, 101, 102, 200, 1000):
        out += ["a" * n, "\u00e9" * n, "\u4e2d" * n, "\U0001f600" * n, "e\u0301" * n, "x" + "\u0301" * n,
                "\u302e" * n + "\u0301\u302a", ("a" * n) + " b", "." * n, "b " * n]
    for c in SPACES + CONTROLS:
        out += ["a" + c + "b", c, c + "x", "x" + c, "don" + c + "'t"]
    for m in MARKS:
        out += ["a" + m, m, m + "b", "\u00e5" + m + "\u0323", "A" + m + "\u302e\u0334" + m]
    for s in SPECIALS:
        out += ["a" + s + "b", "a " + s + " b", s + s, s.lower(), "x" + s, s + ".", "\u00e9" + s + "\u0301"]
    out += ["\u0130", "\u0130\u0307", "i\u0307", "I", "\u0131", "\u03a3", "\u0391\u03a3", "\u0391\u03a3 ", "\u03a3\u03a3\u03a3", "\u1e9e", "\u212a", "\u2126",
            "\u00c5ngstr\u00f6m", "A\u030angstro\u0308m", "\ufb01ne", "\uff21\uff22", "\u01c5", "\u1f88", "\u0390", "\u0344", "\u0958",
            "\u0f73\u0f71", "\uac00\u11a8", "\u1100\u1161\u11a8", "\uf900", "\U0002f800", "\U00011938", "\u2adc", "\u0340\u0341\u0343",
            "\u1e9b\u0323", "\u0315\u0300\u05ae\u0062", "a\u302e\u0334\u302fb", "a\u302e\u1058\U0001d165b", "a\u302e\u0301\U0001d165b",
            "a\u302e\xad\U0001d165", "\U0001d15e\U0001d165\U0001d16e\U0001d15f", "\ud7ff\ue000"]
    return out
