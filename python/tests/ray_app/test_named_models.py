# SPDX-License-Identifier: Apache-2.0
"""Named models in a replica: chosen by header, unknown ones refused, a bounded number in memory, changed and
removed by the config while requests run."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from pathlib import Path

import inferd
import pytest
from conftest import GOLDEN, MODEL, ROOT
from inferd._digest import digest

pytestmark = pytest.mark.ray
ray = pytest.importorskip("ray")
sys.path.insert(0, str(ROOT / "python" / "rayops"))

BODY = json.dumps({"inputs": ["the acting was great", "so very boring"]}).encode()
PORT, MOST = 18432, 2
TINY, STARS = str(GOLDEN / "bert-f32"), str(GOLDEN / "bert-cased-f16-5")
HEADER = "serve_multiplexed_model_id"


@pytest.fixture(scope="module")
def local():
    import local as module

    with module.LocalRay(haproxy=True) as running:
        running.deploy(config({"tiny": {"model": TINY}, "stars": {"model": STARS}}))
        yield running


def config(models: dict[str, dict[str, str]], most: int = MOST):
    import local as module

    c = module.config(TINY, port=PORT, args={"max_replicas": 1, "max_models": most})
    (deployment,) = c["applications"][0]["deployments"]
    deployment["user_config"] = {**deployment["user_config"], "models": models}
    return c


def ask(model: str | None, method: str = "POST", path: str = "/infer", header: str = HEADER):
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    try:
        c.request(method, path, BODY if method == "POST" else None,
                  {"Content-Type": "application/json", **({header: model} if model is not None else {})})
        r = c.getresponse()
        return r.status, r.getheader("x-model-digest"), r.read()
    finally:
        c.close()


def info():
    return json.loads(ask(None, "GET", "/info")[2])


def loaded() -> set[str]:
    return {name for name, m in info()["models"].items() if m["loaded"]}


def wait_for(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def answers(path: str) -> tuple[int, str, bytes]:
    with inferd.Model(path) as m:
        return 200, digest(path), m.classify_json(BODY)


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_each_is_answered_by_its_model(local):
    assert loaded() == set()
    assert ask(None) == ask("") == answers(TINY)
    assert ask("stars") == ask("stars", header="Serve-Multiplexed-Model-Id") == answers(STARS)
    assert ask("tiny") == answers(TINY)
    assert answers(STARS)[2] != answers(TINY)[2]  # control: they differ
    assert loaded() == {"tiny", "stars"}
    for unknown in ("nothing", "../etc", "x" * 500):
        status, model, body = ask(unknown)
        error = json.loads(body)["error"]
        assert (status, model, error["type"]) == (404, None, "not_found")
        assert unknown[:100] in error["message"] and "/info" in error["message"]


def test_at_most_so_many_are_in_memory(local):
    """Eight names of the default model, 45 MB each: memory is that of two. The control keeps all eight."""
    models = {f"m{i}": {"model": MODEL} for i in range(8)}
    want, sizes = answers(MODEL), {}
    for most in (MOST, 8):
        local.deploy(config(models, most))
        wait_for(lambda most=most: info()["limits"]["max_models"] == most)
        pid = info()["ray"]["pid"]
        ask("m0")
        before = resident(pid)
        for _ in range(2):
            for name in models:
                assert ask(name) == want
                assert len(loaded()) <= most
        sizes[most] = resident(pid) - before
        assert loaded() == ({"m6", "m7"} if most == MOST else set(models))
        assert info()["ray"]["pid"] == pid
    print(f"named models: memory grew by {sizes[MOST] >> 20} MiB with {MOST} in memory, {sizes[8] >> 20} MiB with 8")
    assert sizes[8] > 5 * (30 << 20)
    assert sizes[MOST] < sizes[8] / 3


def test_the_config_changes_them_under_load(local):
    """A name's model is swapped, another is removed: every answer is of a model that the name had, and 404 comes
    only after the removal."""
    local.deploy(config({"a": {"model": TINY}, "b": {"model": STARS}}))
    wait_for(lambda: set(info()["models"]) == {"a", "b"} and info()["limits"]["max_models"] == MOST)
    got: dict[str, list[tuple[int, str, bytes]]] = {"a": [], "b": []}
    failures: list[str] = []
    ingress = 0  # HAProxy's own 404, which one that Ray has just restarted gives before it knows its backends
    stop = threading.Event()

    def work(name: str) -> None:
        nonlocal ingress
        while not stop.is_set():
            try:
                answer = ask(name)
            except OSError as e:
                failures.append(repr(e))
                continue
            if answer[2].startswith(b"Path "):
                ingress += 1
            else:
                got[name].append(answer)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "a", "b", "b")]
    for t in threads:
        t.start()
    try:
        wait_for(lambda: len(got["a"]) > 20 and len(got["b"]) > 20)
        local.deploy(config({"a": {"model": STARS}, "b": {"model": STARS}}))
        wait_for(lambda: got["a"][-1][1] == digest(STARS))
        local.deploy(config({"a": {"model": STARS}}))
        wait_for(lambda: got["b"][-1][0] == 404)
    finally:
        stop.set()
        for t in threads:
            t.join()
    print(f"named models: {len(got['a'])} and {len(got['b'])} requests over two changes, {len(failures)} failed, "
          f"{ingress} refused by HAProxy itself")
    assert not failures
    tiny, stars = answers(TINY), answers(STARS)
    assert set(got["a"]) == {tiny, stars}
    assert {g for g in got["b"] if g[0] == 200} == {stars}
    assert {g[0] for g in got["b"]} == {200, 404}
    assert loaded() == {"a"}


def test_a_bad_one_is_told_and_the_others_serve(local, tmp_path):
    local.deploy(config({"a": {"model": STARS}, "bad": {"model": str(tmp_path)}}))
    wait_for(lambda: "bad" in info()["models"])
    status, _, body = ask("bad")
    assert (status, json.loads(body)["error"]["type"]) == (500, "model_invalid")
    assert ask("a") == answers(STARS) and ask(None) == answers(TINY)
    # a model in use that cannot be replaced stays, and so does the whole of the old config
    local.deploy(config({"a": {"model": str(tmp_path)}}))
    wait_for(lambda: info()["ray"]["last_refusal"])
    assert ask("a") == answers(STARS) and "bad" in info()["models"]
