# SPDX-License-Identifier: Apache-2.0
"""The contract of docs/server.md, on every server that claims it."""

from __future__ import annotations

import json
import re
import subprocess
import threading

import pytest
from conftest import BIN, MODEL
from conformance.conftest import KIND, LIMITS, Answer, Client

JSON = {"Content-Type": "application/json"}
N = LIMITS["max_inputs"]


def assert_error(a: Answer, status: int, kind: str, part: str = "") -> None:
    assert a.status == status, a
    assert a.headers["content-type"] == "application/json"
    error = a.json["error"]
    assert list(a.json) == ["error"]
    assert set(error) == {"code", "type", "message", "request_id"}
    assert (error["code"], error["type"]) == (status, kind)
    assert error["request_id"] == a.headers["x-request-id"]
    assert part in error["message"]


def test_answers_are_the_command_lines(client: Client, sst2: list[str]) -> None:
    texts = sst2[:160]
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    out = subprocess.run([BIN, "classify", "--model", MODEL, "--format", "jsonl", "--json"], input=lines,
                         capture_output=True, text=True, check=True).stdout
    want = [(r["label"], r["confidence"]) for r in map(json.loads, out.splitlines())]
    got = []
    for at in range(0, len(texts), N):
        a = client.infer({"inputs": texts[at:at + N]})
        assert a.status == 200, a
        # the bytes, not only the values: six decimals, no spaces, a newline
        assert re.fullmatch(rb'\[(\{"label":"\w+","confidence":[01]\.\d{6}\},?)+\]\n', a.body), a
        got += [(r["label"], r["confidence"]) for r in a.json]
    assert [label for label, _ in got] == [label for label, _ in want]
    assert all(abs(g - w) < 1e-6 for (_, g), (_, w) in zip(got, want, strict=True))
    assert len({c for _, c in got}) > 100  # control: an answer in the wrong place would be seen


def test_forms_of_a_request(client: Client) -> None:
    one = client.infer({"text": "I love this!"}).body
    assert b'"POSITIVE"' in one
    for body in ({"inputs": "I love this!"}, {"inputs": ["I love this!"]}, '{"te\\u0078t":"I l\\u006fve this!"}',
                 {"text": "I love this!", "parameters": {"timeout_ms": 60000}}):
        assert client.infer(body).body == one
    for kind in ("application/json", 'Application/JSON ; charset="utf-8"', "application/json;charset=UTF-8"):
        assert client.infer({"text": "I love this!"}, {"Content-Type": kind}).body == one

    def pieces():
        yield b'{"inputs":["I love'
        yield b' this!"]}'

    assert client.ask("POST", "/infer", pieces(), JSON, encode_chunked=True).body == one


def deep(n: int) -> bytes:
    return b'{"inputs":' + b"[" * n + b"]" * n + b"}"


BODIES = [
    (b"{", "invalid_json", ""),
    (b'{"text":"a"} x', "invalid_json", ""),
    (b'{"text":"a",}', "invalid_json", ""),
    (b'{"text":NaN}', "invalid_json", ""),
    (b'\xef\xbb\xbf{"text":"a"}', "invalid_json", ""),
    (b'{"text":"\\ud800"}', "invalid_json", ""),
    (deep(65), "invalid_json", ""),
    (b'{"text":"\xff"}', "invalid_utf8", ""),
    (b"[]", "invalid_request", "must be a JSON object"),
    (b"{}", "invalid_request", "neither"),
    (b'{"inputs":[]}', "invalid_request", "empty list"),
    (b'{"inputs":["a",""]}', "invalid_request", "inputs[1] is an empty string"),
    (b'{"inputs":["a","b",3]}', "invalid_request", "inputs[2] must be a string, not a number"),
    (b'{"text":"a","text":"b"}', "invalid_request", "twice"),
    (b'{"text":"a","inputs":["b"]}', "invalid_request", "both"),
    (b'{"texts":["a"]}', "invalid_request", 'unknown key "texts"'),
    (b'{"text":"a","parameters":{"timeout_ms":0}}', "invalid_request", "timeout_ms"),
]


@pytest.mark.parametrize(("body", "kind", "part"), BODIES, ids=range(len(BODIES)))
def test_bodies_that_are_refused(client: Client, body: bytes, kind: str, part: str) -> None:
    assert_error(client.infer(body), 400, kind, part)


def test_limits_at_their_edge(client: Client) -> None:
    for n, status in ((N - 1, 200), (N, 200), (N + 1, 413)):
        a = client.infer({"inputs": ["a"] * n})
        assert a.status == status
        if status == 200:
            assert len(a.json) == n
        else:
            assert_error(a, 413, "too_many_inputs")
    most = LIMITS["max_body_bytes"]
    for size, status in ((most - 1, 200), (most, 200), (most + 1, 413)):
        a = client.infer(b'{"text":"' + b"a" * (size - 11) + b'"}')
        assert a.status == status
        if status != 200:
            assert_error(a, 413, "body_too_large")
    # chunked: the length is not known before
    body = b'{"text":"' + b"a" * most + b'"}'
    a = client.ask("POST", "/infer", iter([body[:most // 2], body[most // 2:]]), JSON, encode_chunked=True)
    assert_error(a, 413, "body_too_large")


def test_methods_and_paths(client: Client) -> None:
    assert_error(client.ask("GET", "/nope"), 404, "not_found")
    assert_error(client.ask("POST", "/nope", b"{}", JSON), 404, "not_found")
    for method, path, allow in (("GET", "/infer", "POST"), ("PUT", "/infer", "POST"), ("DELETE", "/infer", "POST"),
                                ("POST", "/healthz", "GET, HEAD"), ("POST", "/info", "GET, HEAD")):
        a = client.ask(method, path, b"{}" if method in ("PUT", "POST") else None, JSON)
        assert_error(a, 405, "method_not_allowed")
        assert a.headers["allow"] == allow


def test_media_types(client: Client) -> None:
    for kind in ("text/plain", "application/jsonx", "application/json; charset=latin-1", "application/json; q=1"):
        assert_error(client.infer({"text": "a"}, {"Content-Type": kind}), 415, "unsupported_media_type")
    assert_error(client.ask("POST", "/infer", b'{"text":"a"}'), 415, "unsupported_media_type")
    assert_error(client.infer({"text": "a"}, {"Content-Encoding": "gzip"}), 415, "unsupported_media_type")
    assert client.infer({"text": "a"}, {"Content-Encoding": "identity"}).status == 200


def test_pages(client: Client) -> None:
    assert client.ask("GET", "/healthz").json == {"status": "ok"}
    assert client.ask("GET", "/livez").json == {"status": "ok"}
    assert client.ask("GET", "/readyz").json == {"status": "ready"}
    index = client.ask("GET", "/").json
    assert {"path": "/infer", "methods": "POST"} in index["routes"]
    info = client.ask("GET", "/info").json
    assert info["name"] == "inferd"
    assert {"name", "labels", "dtype", "cpu_tier", "max_length"} <= set(info["model"])
    assert info["limits"]["max_inputs"] == N
    assert info["threads"]["compute"] == 1
    for path in ("/healthz", "/readyz", "/"):
        full, head = client.ask("GET", path), client.ask("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == full.headers["content-length"]


def test_names_of_requests(client: Client) -> None:
    for given in ("abc-123", "a" * 128, "A.b:c/d+e=@_"):
        assert client.infer({"text": "a"}, {"X-Request-ID": given}).headers["x-request-id"] == given
        assert_error(client.infer("{", {"X-Request-ID": given}), 400, "invalid_json")
    made = {client.infer({"text": "a"}).headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5 and all(len(m) >= 32 for m in made)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert client.infer({"text": "a"}, {"traceparent": trace}).status == 200


def test_the_model_is_named(client: Client) -> None:
    digest = client.infer({"text": "a"}).headers["x-model-digest"]
    assert digest == client.infer({"text": "b"}).headers["x-model-digest"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    text = subprocess.run([BIN, "inspect", MODEL], capture_output=True, text=True, check=True).stdout
    assert digest in text
    assert "x-model-digest" not in client.infer("{").headers


def test_time_limits(client: Client) -> None:
    for bad in ("0", "-1", "x", "1.5", "86400001", ""):
        assert_error(client.infer({"text": "a"}, {"X-Request-Timeout-Ms": bad}), 400, "invalid_request",
                     "X-Request-Timeout-Ms")
    assert client.infer({"text": "a"}, {"X-Request-Timeout-Ms": "5000"}).status == 200
    outcomes = {client.infer({"inputs": ["word " * 200] * N}, {"X-Request-Timeout-Ms": "1"}).status for _ in range(20)}
    assert outcomes <= {429, 504}, outcomes


def test_overload(client: Client) -> None:
    """More than the queue holds: answered or refused, each in its shape, and normal again at once."""
    body = {"inputs": ["word " * 100] * N}
    want, answers = client.infer(body).body, []

    def work() -> None:
        for _ in range(4):
            answers.append(client.infer(body))

    threads = [threading.Thread(target=work) for _ in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    good = [a for a in answers if a.status == 200]
    refused = [a for a in answers if a.status != 200]
    assert len(answers) == 96 and good and refused
    assert all(a.body == want for a in good)
    for a in refused:
        assert a.status in (429, 503, 504), a
        if a.status != 504:
            assert 1 <= int(a.headers["retry-after"]) <= 60
        assert_error(a, a.status, {429: "overloaded", 503: "loading", 504: "deadline_exceeded"}[a.status])
    assert client.infer(body).status == 200
    print(f"{KIND}: {len(good)} answered, {len(refused)} refused of {len(answers)}")


def test_a_connection_serves_many(client: Client) -> None:
    c = client.connect()
    for i in range(50):
        c.request("POST", "/infer", json.dumps({"inputs": ["a", "b " * (i + 1)]}) if i % 5 else "{", JSON)
        r = c.getresponse()
        assert (r.status == 200) == bool(i % 5)
        assert len(json.loads(r.read())) == (2 if i % 5 else 1)
    c.close()
