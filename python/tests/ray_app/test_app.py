# SPDX-License-Identifier: Apache-2.0
"""What only a running Ray shows: models swapped under load, refused models, metrics, devices, batching."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
import urllib.request

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

    with module.LocalRay(haproxy=True) as running:
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


def test_metrics(local):
    for _ in range(3):
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{PORT}/infer", BODY, {"Content-Type": "application/json"}), timeout=10).read()
    (node,) = [n for n in ray.nodes() if n["Alive"]]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    wanted = ["inferd_requests_total", "inferd_request_outcomes_total", "inferd_request_duration_seconds_bucket",
              "inferd_tokens_total", "inferd_inputs_total", "inferd_batches_total", "inferd_queue_depth",
              "inferd_saturation_ratio", "inferd_compute_threads", "inferd_model_info", "inferd_model_refusals_total"]
    page = ""

    def missing():
        nonlocal page
        page = urllib.request.urlopen(url, timeout=10).read().decode()
        return [name for name in wanted if f"\nray_{name}{{" not in page]

    wait_for(lambda: not missing(), 40)
    counts = [float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
              if line.startswith("ray_inferd_requests_total{") and 'route="/infer"' in line and 'code="200"' in line]
    assert sum(counts) > 3


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
