# SPDX-License-Identifier: Apache-2.0
"""What only a running Ray shows: models swapped under load, refused models, metrics, devices, batching."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path

import inferd
import pytest
from conftest import GOLDEN, MODEL, ROOT

pytestmark = pytest.mark.ray
ray = pytest.importorskip("ray")
sys.path.insert(0, str(ROOT / "python" / "rayops"))

BODY = json.dumps({"inputs": ["the acting was great", "so very boring"]}).encode()
PORT = 18431


@pytest.fixture(scope="module")
def local():
    import local as module

    # the log at once, not in blocks of 1000 lines
    with module.LocalRay(haproxy=True, env={"RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1"}) as running:
        running.deploy(config())
        yield running


def config(model: str = MODEL, **options):
    import local as module

    return module.config(model, port=PORT, **{"args": {"max_replicas": 1}, **options})


class Load:
    """Closed-loop clients that keep their connections; what they got, by model."""

    def __init__(self, clients: int = 4):
        self.answers: list[tuple[int, str, bytes]] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def _work(self) -> None:
        c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        while not self._stop.is_set():
            try:
                c.request("POST", "/infer", BODY, {"Content-Type": "application/json"})
                r = c.getresponse()
                self.answers.append((r.status, r.getheader("x-model-digest") or "", r.read()))
            except (OSError, http.client.HTTPException) as e:
                self.failures.append(repr(e))
                c.close()

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        for t in self._threads:
            t.join()


def info():
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/info", timeout=10) as r:
        return json.load(r)


def wait_for(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_models_are_swapped_under_load(local):
    models = [MODEL, str(GOLDEN / "bert-f32")]
    want, pid = {}, info()["ray"]["pid"]
    from inferd._digest import digest

    for path in models:
        with inferd.Model(path) as m:
            want[digest(path)] = m.classify_json(BODY)
    assert len(set(want.values())) == 2
    with Load() as load:
        for i in range(8):
            path = models[(i + 1) % 2]
            local.deploy(config(path))
            wait_for(lambda path=path: info()["model"]["digest"] == digest(path))
    by_model = {d: sum(a[1] == d for a in load.answers) for d in want}
    print(f"swap: {len(load.answers)} requests over 8 swaps, {len(load.failures)} failed, by model {by_model}")
    assert not load.failures
    assert {status for status, _, _ in load.answers} == {200}
    assert all(body == want[d] for _, d, body in load.answers), "an answer is not of the model that it names"
    assert all(n > 50 for n in by_model.values())
    assert info()["ray"]["pid"] == pid, "the replica was replaced"
    local.deploy(config())
    wait_for(lambda: info()["model"]["digest"] == digest(MODEL))


def test_a_bad_model_is_refused_and_the_old_one_serves(local, tmp_path):
    before = info()
    with Load(2) as load:
        local.deploy(config(str(tmp_path)))
        wait_for(lambda: info()["ray"]["last_refusal"])
        time.sleep(1)
    after = info()
    assert "config.json" in after["ray"]["last_refusal"]
    assert (after["model"]["digest"], after["ray"]["pid"]) == (before["model"]["digest"], before["ray"]["pid"])
    assert not load.failures and {a[0] for a in load.answers} == {200}
    local.deploy(config())
    assert info()["model"]["digest"] == before["model"]["digest"]


def ask(body, headers=None, path="/infer"):
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    try:
        c.request("POST", path, body if isinstance(body, bytes | str) else json.dumps(body),
                  {"Content-Type": "application/json", **(headers or {})})
        r = c.getresponse()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
    finally:
        c.close()


def page() -> str:
    (node,) = [n for n in ray.nodes() if n["Alive"]]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    return urllib.request.urlopen(url, timeout=10).read().decode()


def exported(text: str) -> dict[str, tuple[str, set[str]]]:
    """name -> type and labels, of ours on a node's page."""
    found: dict[str, tuple[str, set[str]]] = {}
    for line in text.splitlines():
        m = re.match(r"# TYPE ray_(inferd_\w+) (\w+)", line)
        if m:
            found[m[1]] = (m[2], set())
        m = re.match(r"ray_(inferd_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} ", line)
        if m and m[1] in found:
            found[m[1]][1].update(re.findall(r'(\w+)="', m[2]))
    return found


def documented(text: str) -> dict[str, tuple[str, set[str]]]:
    """The rows of docs/metrics.md that its part on Ray names."""
    rows = {m[1]: (m[2], set(re.findall(r"`(\w+)`", m[3]))) for m in
            re.finditer(r"^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|", text, re.M)}
    part = text[text.index("## On Ray Serve"):]
    here = re.search(r"Exported there: (.*?)\n\n", part, re.S)[1]
    return {name: rows[name] for name in re.findall(r"`(\w+)`", here)}


def differences(doc: str, text: str) -> list[str]:
    want, have = documented(doc), exported(text)
    found = [f"{n} is not in the doc" for n in have.keys() - want.keys()]
    found += [f"{n} is not exported" for n in want.keys() - have.keys()]
    for name in want.keys() & have.keys():
        kind, labels = want[name]
        # what the doc says of Ray: the build's tier is the node's affair
        labels = labels - {"isa"} if name == "inferd_build_info" else labels
        if have[name][0] != kind or not labels <= have[name][1]:
            found.append(f"{name}: the doc says {kind} {labels}, the page {have[name]}")
    return found


def total(text: str, name: str, **labels: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"ray_{name}{{")
               and all(f'{k}="{v}"' in line for k, v in labels.items()))


def test_metrics_are_the_documented_ones(local):
    """Names, types and labels both ways, after each kind of request; then the laws of docs/metrics.md."""
    assert ask({"inputs": ["the acting was great", "good " * 500]})[0] == 200
    assert ask("[")[0] == 400
    assert ask(b"{}", path="/nope")[0] == 404
    for _ in range(200):  # what waits for others cannot be done in a millisecond: refused
        if ask({"inputs": ["good " * 120] * 128}, {"X-Request-Timeout-Ms": "1"})[0] == 429:
            break
    else:
        raise AssertionError("nothing was refused")
    with socket.create_connection(("127.0.0.1", PORT)) as s:  # goes away in the middle of its body
        s.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
        time.sleep(0.3)
    doc = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    end = time.monotonic() + 40
    while found := differences(doc, page()):
        assert time.monotonic() < end, "\n".join(found)
        time.sleep(0.5)
    # controls: a name less, a type changed, a label changed
    text = page()
    assert len(differences(doc.replace("`inferd_ready`, ", ""), text)) == 1
    assert len(differences(doc.replace("`inferd_tokens_total` | counter", "`inferd_tokens_total` | gauge"), text)) == 1
    assert len(differences(doc.replace("| `stage` |", "| `step` |"), text)) == 2

    def law():
        nonlocal text
        text = page()
        ended = total(text, "inferd_request_outcomes_total")
        return total(text, "inferd_requests_started_total") == ended + total(text, "inferd_requests_in_flight") > 5 \
            and total(text, "inferd_requests_total") == ended - total(text, "inferd_request_outcomes_total", outcome="cancelled") \
            and total(text, "inferd_rejected_total") == total(text, "inferd_request_outcomes_total", outcome="shed") > 0 \
            and total(text, "inferd_cancelled_total") == total(text, "inferd_request_outcomes_total", outcome="cancelled") > 0

    wait_for(law, 30)  # the page is some seconds behind
    good = total(text, "inferd_requests_total", route="/infer", code="200")
    for stage in ("parse", "tokenize", "queue", "infer", "serialize"):
        assert total(text, "inferd_stage_duration_seconds_count", stage=stage) == good
    assert sum(total(text, "inferd_stage_duration_seconds_sum", stage=s) for s in ("queue", "infer")) > 0
    predictions = total(text, "inferd_predictions_total")
    assert predictions >= good and total(text, "inferd_predictions_total", label="POSITIVE") > 0
    assert total(text, "inferd_truncated_inputs_total") > 0
    assert total(text, "inferd_request_duration_seconds_count", outcome="ok") == good


def replica_logs() -> str:
    logs = Path(ray._private.worker._global_node.get_session_dir_path()) / "logs" / "serve"
    return "".join(p.read_text(encoding="utf-8", errors="replace") for p in logs.glob("replica_*"))


def test_names_of_requests_and_traces_arrive(local):
    """The client's id comes back and is in the replica's log with the trace; without one Ray makes it."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    mine, parent = "client-1.a:b", f"00-{trace}-b7ad6b7169203331-01"
    local.deploy(config(deployment={"logging_config": {"log_level": "DEBUG"}}))
    wait_for(lambda: f"id={mine} " in replica_logs() or
             ask(BODY, {"X-Request-ID": mine, "traceparent": parent})[0] != 200 or time.sleep(0.2), 60)
    status, headers, _ = ask(BODY, {"X-Request-ID": mine, "traceparent": parent})
    assert (status, headers["x-request-id"]) == (200, mine)
    (made,) = {ask(BODY, {"traceparent": parent.upper()})[1]["x-request-id"]}
    assert len(made) >= 32
    wait_for(lambda: f"id={made} " in replica_logs(), 20)
    lines = replica_logs().splitlines()
    assert any(f"id={mine} trace={trace} path=/infer code=200" in line for line in lines)
    assert any(f"id={made} trace= path=/infer code=200" in line for line in lines)  # no valid traceparent: no trace
    local.deploy(config())


def demands() -> list[dict[str, float]]:
    from ray.autoscaler.v2.sdk import get_cluster_status

    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    return [dict(r.bundle) for d in status.resource_demands.ray_task_actor_demand for r in d.bundles_by_count]


def test_gpu_is_a_pending_demand_and_cpu_runs_anywhere(local):
    from inferd.serve import Arguments, app
    from ray import serve

    assert app(Arguments(device="auto", model=MODEL))._bound_deployment.ray_actor_options == {"num_cpus": 1.0}
    assert not any("GPU" in d for d in demands())
    threading.Thread(target=run_gpu, daemon=True).start()
    wait_for(lambda: any(d.get("GPU") == 1.0 for d in demands()), 30)
    assert str(serve.status().applications["gpu"].status.value) == "DEPLOYING"
    serve.delete("gpu", _blocking=False)  # what is pending goes after the whole graceful_shutdown_timeout_s
    assert info()["ray"]["device"] == "cpu"


def run_gpu() -> None:
    from inferd.serve import Arguments, app
    from ray import serve

    try:
        serve.run(app(Arguments(device="gpu", num_cpus=0.1, model=MODEL)), name="gpu", route_prefix="/gpu")
    except Exception:  # it is deleted while it waits
        pass


def test_serve_batch_gives_the_same_answers(local):
    with inferd.Model(MODEL) as m:
        want = m.classify_json(BODY)
    local.deploy(config(args={"max_replicas": 1, "batching": "serve"}))
    wait_for(lambda: info()["ray"]["batching"] == "serve")
    with Load(8) as load:
        time.sleep(2)
    assert not load.failures and len(load.answers) > 50
    assert {(status, body) for status, _, body in load.answers} == {(200, want)}
    bad = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    bad.request("POST", "/infer", "{", {"Content-Type": "application/json"})
    assert bad.getresponse().status == 400
