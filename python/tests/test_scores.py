# SPDX-License-Identifier: Apache-2.0
"""Scores beside the best label (top_k, all_scores, raw_scores), and where the time of a request went."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import subprocess
import time

import inferd
import pytest
from conftest import BIN, GOLDEN, MODEL, TINY

TEXTS = ["the acting was great", "bad", "so very boring film", "good \u00e9\u4e2d", ""]
MODELS = sorted(p.name for p in GOLDEN.iterdir() if (p / "config.json").exists())


def softmax(logits: list[float]) -> list[float]:
    top = max(logits)
    total = sum(math.exp(x - top) for x in logits)
    return [math.exp(x - top) / total for x in logits]


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@pytest.mark.parametrize("name", MODELS)
def test_scores_of_every_golden_model(name):
    """Raw scores are logits: put through softmax or sigmoid here they are the scores, and their best the result."""
    with inferd.Model(str(GOLDEN / name), dtype="fp32", threads=2) as m:
        multi = m.info["problem_type"] == "multi_label_classification"
        raw, scored = m.classify(TEXTS, raw_scores=True), m.classify(TEXTS, all_scores=True)
        assert scored == raw == m.classify(TEXTS)  # the tuple of four is what it was
        for logits, scores, result in zip([r.scores for r in raw], [r.scores for r in scored], scored, strict=True):
            assert [s.label for s in logits] == [s.label for s in scores]
            assert sorted(s.label for s in scores) == sorted(m.labels)
            values = [s.score for s in logits]
            assert values == sorted(values, reverse=True)
            want = [sigmoid(x) for x in values] if multi else softmax(values)
            assert [s.score for s in scores] == pytest.approx(want, abs=1e-6)
            assert scores[0] == (result.label, result.confidence)
        if name == "bert-cased-f16-5":  # control: the order of the labels is the text's, not the model's
            assert len({tuple(s.label for s in r.scores) for r in scored}) > 1


@pytest.mark.parametrize("name", MODELS)
def test_raw_scores_are_the_reference_logits(name):
    """Those that transformers gave, label by label."""
    lines = [line.split(" ", 1) for line in (GOLDEN / name / "expected.txt").read_text(encoding="utf-8").splitlines()
             if not line.startswith("#")]
    (max_length,) = [int(v) for k, v in lines if k == "max_length"]
    texts = [v for k, v in lines if k == "text"]
    logits = [[float(x) for x in v.split()] for k, v in lines if k == "logits"]
    plain = [i for i, t in enumerate(texts) if "\\" not in t]  # the file escapes what is not printable
    assert len(plain) >= 3
    with inferd.Model(str(GOLDEN / name), dtype="fp32", threads=1, max_length=max_length) as m:
        results = m.classify([texts[i] for i in plain], raw_scores=True)
        for i, result in zip(plain, results, strict=True):
            got = {s.label: s.score for s in result.scores}
            assert [got[label] for label in m.labels] == pytest.approx(logits[i], abs=1e-4)


def test_top_k(model, sst2):
    for k in (1, 2, 3, 10**30):
        for result in model.classify(sst2[:50], top_k=k):
            assert len(result.scores) == min(k, 2)
            assert result.scores[0] == (result.label, result.confidence)
            assert sum(s.score for s in result.scores) == pytest.approx(1.0, abs=1e-6) or k == 1
    (raw,) = model.classify(sst2[:1], top_k=1, raw_scores=True)
    assert len(raw.scores) == 1 and raw.scores[0].score != raw.confidence
    assert model.classify(sst2[:1])[0].scores is None
    for bad in (0, -1, -10**30):
        with pytest.raises(inferd.InvalidArgumentError, match="top_k"):
            model.classify(["a"], top_k=bad)
    with pytest.raises(inferd.InvalidArgumentError, match="not both"):
        model.classify(["a"], top_k=1, all_scores=True)
    with pytest.raises(TypeError):
        model.classify(["a"], top_k="1")


def test_a_request_keeps_what_it_asked_for(tiny):
    """Requests are pooled: one that wants scores leaves none to the next."""
    for _ in range(3):
        assert tiny.classify(["good", "bad"], all_scores=True)[1].scores
        assert [r.scores for r in tiny.classify(["good", "bad"])] == [None, None]
    long = tiny.classify(["good"] * 300, top_k=1)
    assert len(long) == 300 and len({r.scores for r in long}) == 1


def test_asynchronous_scores(tiny):
    async def ask():
        return await asyncio.gather(tiny.aclassify(TEXTS, all_scores=True), tiny.aclassify(TEXTS),
                                    tiny.aclassify(TEXTS, top_k=1, raw_scores=True))

    every, none, raw = asyncio.run(ask())
    assert [r.scores for r in every] == [r.scores for r in tiny.classify(TEXTS, all_scores=True)]
    assert [r.scores for r in raw] == [r.scores for r in tiny.classify(TEXTS, top_k=1, raw_scores=True)]
    assert [r.scores for r in none] == [None] * len(TEXTS)
    assert every == none == raw

    async def refused():
        with pytest.raises(inferd.InvalidArgumentError, match="top_k"):
            await tiny.aclassify(TEXTS, top_k=0)

    asyncio.run(refused())


def test_results_can_be_pickled(tiny):
    (with_scores,), (without,) = tiny.classify(["a"], all_scores=True), tiny.classify(["a"])
    assert pickle.loads(pickle.dumps(with_scores)).scores == with_scores.scores
    assert pickle.loads(pickle.dumps(without)).scores is None
    assert repr(with_scores.scores[0]).startswith("inferd.Score(label=")


def test_times(model):
    body = json.dumps({"inputs": ["the acting was great " * 8] * 16}).encode()
    began = time.perf_counter()
    answer, times = model.classify_json(body, times=True)
    whole = time.perf_counter() - began
    assert answer == model.classify_json(body)
    assert all(t > 0 for t in times) and sum(times) <= whole
    assert times.infer > times.tokenize  # 16 texts of 34 tokens through six layers

    async def ask():
        return await asyncio.gather(*(model.aclassify_json(body, times=True) for _ in range(4)))

    waits = sorted(t.queue for _, t in asyncio.run(ask()))
    assert waits[-1] > waits[0]  # the last one waited for the others: 2 threads, 4 requests at once
    assert all(a == answer for a, _ in asyncio.run(ask()))


def test_predictions_are_counted(sst2):
    with inferd.Model(MODEL, threads=1) as m:
        results = m.classify([*sst2[:60], "good " * 500])
        m.classify_json(json.dumps({"inputs": sst2[:10]}).encode())
        asyncio.run(m.aclassify(sst2[:10]))
        want = [r.label for r in [*results, *results[:10], *results[:10]]]
        stats = m.stats()
        assert dict(zip(m.labels, stats["predictions"], strict=True)) == {n: want.count(n) for n in m.labels}
        assert stats["truncated"] == 1 and all(stats["predictions"])


def test_the_command_gives_the_same_label(tiny):
    out = subprocess.run([BIN, "classify", "--model", TINY, *TEXTS[:3]], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in out.stdout.splitlines()] == [
        r.scores[0].label for r in tiny.classify(TEXTS[:3], top_k=1)]
