# SPDX-License-Identifier: Apache-2.0
"""SST-2 as the training sees it: rows, whole sentences, a held-out part, and templates.

train.tsv holds phrases cut out of parse trees, so a random split leaks: a held-out sentence's
own sub-phrases stay in training. Here the split is by whole sentence, and every phrase of three
words or more that occurs inside a held-out sentence leaves the training set with it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    text: str
    label: int
    whole: bool = False  # a sentence, not a phrase cut out of one


def read_tsv(path: Path) -> list[Row]:
    """Rows of a `label<TAB>text` file with one header line."""
    rows = []
    with open(path, encoding="utf-8", newline="\n") as f:
        next(f)
        for number, line in enumerate(f, 2):
            label, tab, text = line.rstrip("\n").partition("\t")
            if not tab or label not in ("0", "1"):
                raise SystemExit(f"{path}:{number}: want 'label<TAB>text' with label 0 or 1, found {line!r}")
            rows.append(Row(text.strip(), int(label)))
    return rows


def _spans(words: list[str]):
    for i in range(len(words)):
        for j in range(i + 1, len(words) + 1):
            yield " ".join(words[i:j])


def mark_whole(rows: list[Row]) -> list[Row]:
    """Mark the rows of five words or more that lie inside no other row: the whole sentences."""
    inside: set[str] = set()
    marked = []
    for row in sorted(rows, key=lambda r: -len(r.text.split())):
        words = row.text.split()
        whole = len(words) >= 5 and row.text not in inside
        if whole:
            inside.update(s for s in _spans(words) if s != row.text)
        marked.append(Row(row.text, row.label, whole))
    return marked


def split_by_sentence(rows: list[Row], held_out: int, seed: int) -> tuple[list[Row], list[Row]]:
    """(training rows, `held_out` whole sentences) with no phrase of three words shared."""
    rng = random.Random(seed)
    whole = [r for r in rows if r.whole]
    keep_out = rng.sample(whole, held_out)
    banned = {s for r in keep_out for s in _spans(r.text.split()) if s.count(" ") >= 2}
    train = [r for r in rows if r.text not in banned]
    return train, keep_out


def load_split(train: Path, dev: Path, held_out: int) -> tuple[list[Row], list[Row]]:
    """(training rows, held-out sentences) of the recipe: rows that are in dev.tsv are in neither.

    The one place that fixes the split: the training and the temperature must agree on it, or the
    temperature is fitted on sentences that were trained on.
    """
    dev_texts = {r.text for r in read_tsv(dev)}
    rows = [r for r in mark_whole(read_tsv(train)) if r.text not in dev_texts]
    return split_by_sentence(rows, held_out, seed=7)


def lexicon_rows(path: Path, least: float = 1.0, spread: float = 1.3) -> list[Row]:
    """Single words with a clear polarity from VADER's lexicon (word, mean rating -4..4, spread, ...)."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        word, mean, deviation = line.split("\t")[:3]
        if word.isascii() and word.isalpha() and abs(float(mean)) >= least and float(deviation) <= spread:
            rows.append(Row(word, int(float(mean) > 0)))
    return rows


_SUBJECTS = ["this", "it", "the movie", "the film", "this product", "the service", "the food", "my order",
             "the acting", "this place", "the book", "the app", "the hotel", "this phone", "the whole thing",
             "the weather today", "the update", "the staff", "the show", "this song"]
_GOOD = ["great", "amazing", "wonderful", "excellent", "fantastic", "really good", "perfect", "awesome",
         "lovely", "superb", "so much fun", "beautiful", "better than i expected", "worth every penny",
         "a delight", "brilliant", "outstanding", "very helpful"]
_BAD = ["awful", "terrible", "horrible", "really bad", "disappointing", "the worst", "a waste of money",
        "boring", "broken", "useless", "not good at all", "dreadful", "a mess", "worse than i expected",
        "so slow", "disgusting", "unacceptable", "very rude"]
_VERBS = {1: ["love", "really like", "adore", "enjoyed", "absolutely loved", "would recommend", "am happy with"],
          0: ["hate", "really dislike", "regret buying", "can't stand", "absolutely hated", "would not recommend",
              "am disappointed with"]}
_NEGATED = {1: ["not bad at all", "not disappointing in the least", "hard to fault"],
            0: ["not great", "not worth it", "not what i hoped for", "hard to recommend"]}


def template_rows(count: int, rng: random.Random) -> list[Row]:
    """Short everyday sentences, which film reviews lack ("I love this!"): `count` of them."""
    rows = []
    for _ in range(count):
        label = rng.randrange(2)
        subject = rng.choice(_SUBJECTS)
        kind = rng.random()
        if kind < 0.45:
            be = rng.choice([" is ", " was ", "'s been ", " is just "])
            text = subject + be + rng.choice(_GOOD if label else _BAD)
        elif kind < 0.85:
            text = "i " + rng.choice(_VERBS[label]) + " " + subject
        else:
            text = subject + " is " + rng.choice(_NEGATED[label])
        rows.append(Row(text + rng.choice(["", ".", "!", " ."]), label))
    return rows
