# SPDX-License-Identifier: Apache-2.0
"""Texts without a label of their own, for a teacher to judge.

SST-2's 67,000 phrases are cut out of some 7,000 sentences, so a student that learns from a teacher has
soon seen every word order there is. These functions make new ones: words swapped for their neighbours
in the student's own embedding (the word replacement of TinyBERT, Jiao et al. 2020, without a language
model), and phrases of different sentences joined, which is where sentiment turns and negations meet.
Such a text may read oddly and may have changed its sentiment; the teacher says what it is now.
Every function is pure: the same text and the same `random.Random` state give the same result.
"""

from __future__ import annotations

import random
from collections import Counter

import torch

_JOINTS = [" , but ", " , and ", " but ", " and ", " . ", " , yet ", " -- ", " , although ", " , while ", " ; "]
_FRAMES = ["{}", "{}", "{}", "it 's {}", "the film is {}", "not {}", "the movie is n't {}", "i found it {}", "never {}",
           "despite being {} , it works", "{} , unfortunately", "{} -- and that 's a good thing"]


def neighbours(words: list[str], vocab: dict[str, int], embedding: torch.Tensor, count: int = 8) -> dict[str, list[str]]:
    """For each alphabetic word that is one piece of `vocab` and seen twice, the `count` nearest such words."""
    seen = Counter(words)
    known = sorted(w for w, n in seen.items() if n >= 2 and w.isalpha() and w in vocab)
    rows = torch.nn.functional.normalize(embedding[[vocab[w] for w in known]].float(), dim=-1)
    near = {}
    for start in range(0, len(known), 1024):
        block = rows[start : start + 1024] @ rows.T
        block[torch.arange(len(block)), start + torch.arange(len(block))] = -1.0  # not the word itself
        for word, ids in zip(known[start : start + 1024], block.topk(count).indices.tolist()):
            near[word] = [known[i] for i in ids]
    return near


def replaced(text: str, near: dict[str, list[str]], rng: random.Random, share: float = 0.2) -> str:
    """`text` with about `share` of its known words swapped for a neighbour: at least one, if any is known."""
    words = text.split(" ")
    known = [i for i, w in enumerate(words) if w in near]
    if not known:
        return text
    chosen = {i for i in known if rng.random() < share} or {rng.choice(known)}
    return " ".join(rng.choice(near[w]) if i in chosen else w for i, w in enumerate(words))


def joined(first: str, second: str, rng: random.Random) -> str:
    """Two phrases of different sentences in one, in a frame or with a joint between them."""
    if rng.random() < 0.3:
        return rng.choice(_FRAMES).format(first)
    return first.rstrip(" .,") + rng.choice(_JOINTS) + second
