# SPDX-License-Identifier: Apache-2.0
"""Synchronous calls: the answers of the C commands, and every refusal."""

from __future__ import annotations

import json
import subprocess
import threading

import inferd
import pytest
from conftest import BIN, GOLDEN, MODEL, TINY


def cli(texts: list[str], model: str, *options: str) -> list[tuple[str, float]]:
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    out = subprocess.run([BIN, "classify", "--model", model, "--format", "jsonl", "--json", *options],
                         input=lines, capture_output=True, text=True, check=True).stdout
    return [(r["label"], r["confidence"]) for r in map(json.loads, out.splitlines())]


def test_answers_are_the_command_lines(model, sst2):
    want = cli(sst2, MODEL)
    got = model.classify(sst2)
    assert len(got) == len(want) == 872
    assert [r.label for r in got] == [label for label, _ in want]
    assert all(abs(r.confidence - c) < 1e-6 for r, (_, c) in zip(got, want, strict=True))
    # control: neighbours differ, so an answer in the wrong place would be seen
    assert sum(a.confidence == b.confidence for a, b in zip(got, got[1:], strict=False)) < 20


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.iterdir() if (p / "config.json").exists()))
def test_every_golden_model(name):
    texts = ["the acting was great", "bad", "so very boring film", "good \u00e9\u4e2d"]
    with inferd.Model(str(GOLDEN / name), dtype="fp32", threads=2) as m:
        assert [(r.label, pytest.approx(r.confidence, abs=1e-6)) for r in m.classify(texts)] == \
            cli(texts, str(GOLDEN / name), "--dtype", "fp32")


def test_a_result(tiny):
    (r,) = tiny.classify(["the acting was great"])
    label, confidence, tokens, truncated = r
    assert (r.label, r.confidence, r.tokens, r.truncated) == (label, confidence, tokens, truncated)
    assert label in tiny.labels and 0.0 < confidence < 1.0 and tokens == 6 and truncated is False
    (long,) = tiny.classify(["good " * 500])
    assert long.truncated is True and long.tokens == tiny.info["max_length"]
    with pytest.raises(AttributeError):
        r.label = "x"


def test_alone_and_together(tiny):
    """Any number of texts, in order, the same bits as alone; also around the pieces of a long list."""
    texts = [f"good film number {i} " + "bad " * (i % 40) for i in range(300)]
    alone = [tiny.classify([t])[0] for t in texts]
    assert len(set(alone)) > 30
    for n in (0, 1, 127, 128, 129, 255, 256, 257, 300):
        assert tiny.classify(texts[:n]) == alone[:n]
    assert tiny.classify(tuple(texts)) == tiny.classify(iter(texts)) == alone


def test_texts_that_are_refused(tiny):
    for texts in ("a text", b"bytes", 7, None):
        with pytest.raises(TypeError):
            tiny.classify(texts)
    with pytest.raises(TypeError, match=r"texts\[1\]"):
        tiny.classify(["a", b"b"])
    with pytest.raises(inferd.InvalidUtf8Error, match=r"inputs\[2\] has a lone surrogate"):
        tiny.classify(["a", "b", "\ud800"])
    assert tiny.classify([""])[0].tokens == 2  # an empty text is the caller's business here
    assert tiny.classify(["a\0b"])[0].tokens > 2


def test_errors_are_the_table(tiny):
    with pytest.raises(inferd.InvalidJsonError) as e:
        tiny.classify_json(b"{")
    assert (e.value.code, e.value.type, e.value.retryable, e.value.retry_after) == (400, "invalid_json", False, None)
    assert isinstance(e.value, inferd.Error) and isinstance(e.value, ValueError)
    assert (inferd.OverloadedError.code, inferd.OverloadedError.retryable) == (429, True)
    assert (inferd.DeadlineError.code, inferd.DeadlineError.type) == (504, "deadline_exceeded")
    assert issubclass(inferd.DeadlineError, TimeoutError) and issubclass(inferd.IoError, OSError)
    assert inferd.UnimplementedError.code == 501


def test_models_that_are_refused(tmp_path):
    with pytest.raises(inferd.IoError, match="no such model directory"):
        inferd.Model(tmp_path / "nothing")
    with pytest.raises(inferd.ModelInvalidError, match="config.json"):
        inferd.Model(tmp_path)
    for bad in ({"dtype": "int4"}, {"tier": "mmx"}, {"max_length": 2}):
        with pytest.raises(inferd.InvalidArgumentError):
            inferd.Model(TINY, **bad)
    with pytest.raises(TypeError):
        inferd.Model(TINY, "fp32")  # options are by name
    with pytest.raises(inferd.InvalidArgumentError, match="max_queue_texts"):
        inferd.Model(TINY, max_queue=5).start()


def test_timeouts(tiny):
    for bad in (0, -1, 1e9, float("nan")):
        with pytest.raises(inferd.InvalidArgumentError, match="timeout"):
            tiny.classify(["a"], timeout=bad)
    with pytest.raises(TypeError):
        tiny.classify(["a"], timeout="1")
    assert tiny.classify(["a"], timeout=60)
    with inferd.Model(TINY, threads=1, max_batch_size=1) as slow:
        with pytest.raises((inferd.DeadlineError, inferd.OverloadedError)):
            for _ in range(100):
                slow.classify(["good " * 60] * 128, timeout=0.001)


def test_json(model):
    assert json.loads(model.classify_json(b'{"inputs":["I love this!","This is awful."]}')) == [
        {"label": r.label, "confidence": round(r.confidence, 6)}
        for r in model.classify(["I love this!", "This is awful."])]
    for body in (bytearray(b'{"text":"a"}'), memoryview(b'{"text":"a"}')):
        assert model.classify_json(body) == model.classify_json(b'{"text":"a"}')
    for body, error in ((b"", inferd.InvalidJsonError), (b"[]", inferd.InvalidRequestError),
                        (b'{"inputs":[]}', inferd.InvalidRequestError), (b'{"text":"\xff"}', inferd.InvalidUtf8Error),
                        (json.dumps({"inputs": ["a"] * 129}).encode(), inferd.TooManyInputsError)):
        with pytest.raises(error):
            model.classify_json(body)
    with pytest.raises(TypeError):
        model.classify_json('{"text":"a"}')


def test_tokenize_and_info(model):
    assert model.tokenize("I love this!") == [101, 1045, 2293, 2023, 999, 102]
    info = model.info
    assert info["labels"] == model.labels == ("NEGATIVE", "POSITIVE")
    assert (info["layers"], info["hidden_size"], info["dtype"]) == (6, 384, "int8")


def test_many_threads(tiny):
    texts = [f"film number {i}" for i in range(64)]
    want, wrong = tiny.classify(texts), []

    def work() -> None:
        for _ in range(50):
            if tiny.classify(texts) != want or not tiny.classify_json(b'{"text":"good"}'):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_full_queue_blocks_classify_and_refuses_json():
    with inferd.Model(TINY, threads=1, max_inputs=8, max_queue=8, max_batch_size=1) as m:
        texts = ["good film " * 20] * 400
        want = m.classify(texts)
        done: list[bool] = []
        threads = [threading.Thread(target=lambda: done.append(m.classify(texts) == want)) for _ in range(4)]
        for t in threads:
            t.start()
        body, refused = json.dumps({"inputs": ["good film " * 20] * 8}).encode(), 0
        while any(t.is_alive() for t in threads):
            try:
                m.classify_json(body)
            except inferd.OverloadedError as e:
                refused += 1
                assert e.retry_after is not None and e.retry_after > 0
        for t in threads:
            t.join()
        assert done == [True] * 4
        assert refused > 0 and m.stats()["refused"] >= refused


def test_close_answers_what_is_under_way():
    m = inferd.Model(TINY, threads=1)
    texts, results = ["good film " * 10] * 2000, []
    t = threading.Thread(target=lambda: results.append(m.classify(texts)))
    t.start()
    while not m.started:
        pass
    m.close()
    m.close()
    t.join()
    assert len(results[0]) == 2000
    assert m.closed and not m.started
    with pytest.raises(inferd.InvalidArgumentError, match="closed"):
        m.classify(["a"])


def test_stats(tiny):
    before = tiny.stats()
    tiny.classify(["a", "b", "c"])
    after = tiny.stats()
    assert after["texts"] - before["texts"] == 3 and after["tokens"] - before["tokens"] == 9
    assert after["batches"] > before["batches"] and after["busy_seconds"] > before["busy_seconds"]
    assert after["threads"] == 1 and after["queue_texts"] == 0
