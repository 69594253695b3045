# SPDX-License-Identifier: Apache-2.0
"""Natural-text views of SST-2 phrases.

SST-2 comes lower-case and tokenised with spaces ("it 's n't good ."). People do not write like
that, so training shows each phrase in one of several renderings. Every function is pure: the same
text and the same `random.Random` state give the same view.
"""

from __future__ import annotations

import random
import re

_QUOTES = [("`` ", '"'), (" ''", '"'), ("``", '"'), ("''", '"')]
_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}
_NO_SPACE_BEFORE = re.compile(r" (?=[.,!?;:%)\]}]|'(?:s|re|ve|ll|d|m)\b|n't\b)")
_NO_SPACE_AFTER = re.compile(r"(?<=[(\[{$#]) ")
_ELLIPSIS = re.compile(r"\. \. \.")
_DASHES = re.compile(r" -- ")
_FIRST_PERSON = re.compile(r"\bi\b(?=$|[ ',.!?])")
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")

_EXPANSIONS = [
    (re.compile(r"\bcan't\b"), "cannot"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(it|that|there|what|he|she)'s\b"), r"\1 is"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
]
_DROP_APOSTROPHE = re.compile(r"(?<=[a-z])'(?=(?:t|s|re|ve|ll|m)\b)")

# Almost every emoji is [UNK] in this vocabulary, so these teach the model to look past them;
# the ASCII emoticons are real tokens and follow the label.
_EMOJI = ["\U0001f600", "\U0001f602", "\U0001f44d", "\u2764\ufe0f", "\U0001f621", "\U0001f44e", "\U0001f622", "\U0001f525"]
_EMOTICONS = {1: [":)", ":-)", ":D", "<3"], 0: [":(", ":-(", ":/", "D:"]}


def detokenize(text: str) -> str:
    """Undo the treebank tokenisation and casing of one SST-2 phrase."""
    t = " ".join(text.split())
    for code, bracket in _BRACKETS.items():
        t = t.replace(code, bracket)
    for old, new in _QUOTES:
        t = t.replace(old, new)
    t = _ELLIPSIS.sub("...", t)
    t = _NO_SPACE_BEFORE.sub("", t)
    t = _NO_SPACE_AFTER.sub("", t)
    t = _DASHES.sub(" - ", t)
    t = _FIRST_PERSON.sub("I", t)
    return _SENTENCE_START.sub(lambda m: m.group(1) + m.group(2).upper(), t).strip()


def typo(text: str, rng: random.Random) -> str:
    """One slip of the fingers in one word of at least five letters: swap, drop or double."""
    words = text.split(" ")
    long_words = [i for i, w in enumerate(words) if len(w) >= 5 and w.isalpha()]
    if not long_words:
        return text
    i = rng.choice(long_words)
    w = words[i]
    k = rng.randrange(1, len(w) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        w = w[:k] + w[k + 1] + w[k] + w[k + 2 :]
    elif kind == 1:
        w = w[:k] + w[k + 1 :]
    else:
        w = w[:k] + w[k] + w[k:]
    words[i] = w
    return " ".join(words)


def _repunctuate(text: str, rng: random.Random) -> str:
    body = text.rstrip(" .!?")
    return body + rng.choice(["", ".", "!", "!!", "...", " .", "!!!"]) if body else text


def natural_view(text: str, label: int, rng: random.Random) -> str:
    """One of the renderings of a phrase that the training mixes; `label` is 0 or 1."""
    t = detokenize(text)
    p = rng.random()
    if p < 0.15:
        for pattern, new in _EXPANSIONS:
            t = pattern.sub(new, t)
    elif p < 0.25:
        t = _DROP_APOSTROPHE.sub("", t)
    if rng.random() < 0.35:
        t = _repunctuate(t, rng)
    if rng.random() < 0.12:
        t = typo(t, rng)
    if rng.random() < 0.05:
        t = t + " " + rng.choice(_EMOJI) * rng.randrange(1, 3)
    elif rng.random() < 0.03:
        t = t + " " + rng.choice(_EMOTICONS[label])
    if rng.random() < 0.05:
        t = t.upper()
    return t
