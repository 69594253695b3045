# SPDX-License-Identifier: Apache-2.0
"""The ASGI application by itself: what no server in front of it lets a client cause, and the digest."""

from __future__ import annotations

import asyncio
import json
import subprocess

import inferd
import pytest
from conftest import BIN, GOLDEN, MODEL
from inferd import _asgi, _digest


class Backend:
    max_body_bytes, request_timeout_s = 1000, 10.0

    def __init__(self, outcome=(b"[]\n", "sha256:0")):
        self.outcome, self.counted, self.timeouts, self.models, self.begun = outcome, [], [], [], 0

    async def infer(self, body, timeout_s, model_id):
        self.timeouts.append(timeout_s)
        self.models.append(model_id)
        await asyncio.sleep(0)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def ready(self):
        return False, {"status": "loading"}

    def info(self):
        return {}

    def begin(self):
        self.begun += 1

    def count(self, route, code, outcome, seconds, reason):
        assert seconds >= 0
        self.counted.append((route, code, outcome, *([reason] if reason else [])))


def ask(backend, method="POST", path="/infer", headers=(), messages=None, gone=False, **options):
    sent, scope = [], {"type": "http", "method": method, "path": path, "headers": [
        (b"content-type", b"application/json"), (b"content-length", b"2"), *headers]}
    queue = list(messages or [{"type": "http.request", "body": b"{}"}])

    async def receive():
        return queue.pop(0)

    async def send(message):
        if gone:
            raise ConnectionError("the client is not there any more")
        sent.append(message)

    asyncio.run(_asgi.App(backend, **options)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_how_requests_end_is_counted():
    overloaded = inferd.OverloadedError("full")
    overloaded.retry_after = 2.3
    for outcome, code, word in ((None, 200, "ok"), (overloaded, 429, ("shed", "queue")),
                                (inferd.LoadingError("x"), 503, ("shed", "loading")),
                                (inferd.NoMemoryError("x"), 503, ("shed", "memory")),
                                (inferd.DeadlineError("x"), 504, "deadline"),
                                (inferd.InvalidJsonError("x"), 400, "client_error"),
                                (inferd.TooManyInputsError("x"), 413, "client_error"),
                                (inferd.InternalError("x"), 500, "fault"), (KeyError("x"), 500, "fault")):
        backend = Backend(outcome) if outcome else Backend()
        status, headers, body = ask(backend)
        want = ("/infer", code, *((word,) if isinstance(word, str) else word))
        assert status == code and backend.counted == [want] and backend.begun == 1
        assert (b"retry-after" in headers) == (code in (429, 503))
        if code == 429:
            assert headers[b"retry-after"] == b"3"
        if code != 200:
            assert json.loads(body)["error"]["request_id"] == headers[b"x-request-id"].decode()
    assert "KeyError" not in body.decode()


def test_a_client_that_goes_away():
    backend = Backend()
    with pytest.raises(asyncio.CancelledError):
        ask(backend, messages=[{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    assert backend.counted == [("/infer", 499, "cancelled", "read")]
    backend = Backend(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        ask(backend)
    assert backend.counted == [("/infer", 499, "cancelled", "wait")]
    backend = Backend()
    with pytest.raises(ConnectionError):
        ask(backend, gone=True)
    assert backend.counted == [("/infer", 499, "cancelled", "write")]


def test_ids_that_are_not_safe_are_replaced():
    for bad in (b"a" * 129, b"a b", b"<x>", b"\xff", b""):
        _, headers, _ = ask(Backend(), headers=[(b"x-request-id", bad)])
        assert len(headers[b"x-request-id"]) == 32 and headers[b"x-request-id"] != bad
    _, headers, body = ask(Backend(inferd.InternalError("x")), headers=[(b"x-request-id", b"given")], names_requests=True)
    assert b"x-request-id" not in headers  # the server in front names it, once
    assert json.loads(body)["error"]["request_id"] == "given"


def test_time_outs():
    backend = Backend()
    for said, want in ((b"250", 0.25), (b"86400000", 10.0), (b"10001", 10.0)):
        assert ask(backend, headers=[(b"x-request-timeout-ms", said)])[0] == 200
        assert backend.timeouts.pop() == want
    assert ask(backend)[0] == 200 and backend.timeouts == [10.0]


def test_what_a_server_may_add_to_the_path():
    backend = Backend()
    assert ask(backend, path="/readyz", method="GET")[0] == 503
    assert ask(backend, path="/nope", method="GET")[0] == 404
    assert ask(backend, method="BREW")[0] == 501
    assert [c[0] for c in backend.counted] == ["/readyz", "other", "/infer"]


def test_a_named_model():
    backend = Backend()
    for name in (b"serve_multiplexed_model_id", b"serve-multiplexed-model-id"):
        assert ask(backend, headers=[(name, b"en-v2")])[0] == 200
    assert ask(backend, headers=[(b"serve_multiplexed_model_id", b"")])[0] == 200
    assert ask(backend)[0] == 200
    assert backend.models == ["en-v2", "en-v2", "", ""]


def test_names_are_in_the_log(caplog):
    """The id that the client sees and the trace that it is part of, also where the id had to be made."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with caplog.at_level("DEBUG", "inferd"):
        _, headers, _ = ask(Backend(), headers=[(b"traceparent", trace)])
        ask(Backend(inferd.InternalError("x")), headers=[(b"traceparent", trace.upper()), (b"x-request-id", b"mine")])
    first, second = (r.getMessage() for r in caplog.records)
    assert f"id={headers[b'x-request-id'].decode()} trace=0af7651916cd43dd8448eb211c80319c path=/infer code=200" in first
    assert "id=mine trace= path=/infer code=500" in second
    caplog.clear()
    with caplog.at_level("INFO", "inferd"):  # control: what is answered well is not worth a line
        ask(Backend(), headers=[(b"traceparent", trace)])
    assert not caplog.records


def test_traceparent():
    good = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert _asgi._TRACEPARENT.fullmatch(good)[1] == b"0af7651916cd43dd8448eb211c80319c"
    for bad in (b"ff" + good[2:], good.replace(b"0af7651916cd43dd8448eb211c80319c", b"0" * 32), good[:-1], good.upper()):
        assert not _asgi._TRACEPARENT.fullmatch(bad)


@pytest.mark.parametrize("path", [MODEL, *sorted(str(p.parent) for p in GOLDEN.glob("*/config.json"))])
def test_the_digest_is_the_commands(path):
    out = subprocess.run([BIN, "inspect", path], capture_output=True, text=True, check=True).stdout
    assert _digest.digest(path) in out


def test_a_manifest_that_does_not_fit(tmp_path):
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (tmp_path / name).write_bytes(b"x")
    good = _digest.digest(tmp_path)
    names = _digest.files_of_load(tmp_path)
    sums = subprocess.run(["sha256sum", *names], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (tmp_path / "SHA256SUMS").write_text(sums, encoding="utf-8")
    assert _digest.digest(tmp_path) == good
    (tmp_path / "vocab.txt").write_bytes(b"y")
    with pytest.raises(inferd.ModelInvalidError, match="vocab.txt is not the file"):
        _digest.digest(tmp_path)
    (tmp_path / "SHA256SUMS").write_text(sums.splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(inferd.ModelInvalidError, match="does not list"):
        _digest.digest(tmp_path)
