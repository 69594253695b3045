# SPDX-License-Identifier: Apache-2.0
"""PyPI tritonclient[http], unchanged: every call of it that makes sense for one text model."""

import http.client
import json

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

TEXTS = ["I love this!", "What a waste of time. \u00e9\U0001F600"]


@pytest.fixture
def client(port):
    with triton.InferenceServerClient(f"127.0.0.1:{port}", concurrency=4) as c:
        yield c


@pytest.fixture
def want(port):
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("POST", "/infer", json.dumps({"inputs": TEXTS, "parameters": {"top_k": 0, "raw_scores": True}}),
              {"Content-Type": "application/json"})
    return json.loads(c.getresponse().read())


def text_input(texts, binary, shape=None):
    i = triton.InferInput("text", shape or [len(texts)], "BYTES")
    return i.set_data_from_numpy(np.array(texts, dtype=object).reshape(shape or [len(texts)]), binary_data=binary)


def check(result, want, names):
    for name in names:
        got = result.as_numpy(name)
        if name == "label":
            assert [x.decode() if isinstance(x, bytes) else x for x in got] == [w["label"] for w in want]
        elif name == "confidence":
            assert np.allclose(got, [w["confidence"] for w in want], atol=1e-6)
        else:
            assert np.allclose(np.sort(got), [sorted(s["logit"] for s in w["scores"]) for w in want])


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_infer(client, want, binary_in, binary_out):
    names = ["label", "confidence", "logits"]
    outputs = None if binary_out is None else [triton.InferRequestedOutput(n, binary_data=binary_out) for n in names]
    for shape in ([2], [2, 1]):
        result = client.infer("sst2", [text_input(TEXTS, binary_in, shape)], outputs=outputs, request_id="r-1")
        assert result.get_response()["id"] == "r-1"
        check(result, want, names)
    assert want[0]["label"] != want[1]["label"]  # control: an answer in the wrong place would be seen


def test_mixed_outputs_and_versions(client, want):
    outputs = [triton.InferRequestedOutput("logits", binary_data=True),
               triton.InferRequestedOutput("label", binary_data=False)]
    result = client.infer("sst2", [text_input(TEXTS, True)], model_version="1", outputs=outputs)
    check(result, want, ["label", "logits"])
    assert result.as_numpy("confidence") is None


def test_async_infer(client, want):
    pending = [client.async_infer("sst2", [text_input(TEXTS, True)], request_id=str(i)) for i in range(8)]
    for i, p in enumerate(pending):
        result = p.get_result()
        assert result.get_response()["id"] == str(i)
        check(result, want, ["label", "confidence", "logits"])


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("sst2") and client.is_model_ready("sst2", "1")
    assert not client.is_model_ready("other") and not client.is_model_ready("sst2", "2")
    assert client.get_server_metadata()["name"] == "inferd"
    metadata = client.get_model_metadata("sst2")
    assert [o["name"] for o in metadata["outputs"]] == ["label", "confidence", "logits"]
    assert client.get_model_config("sst2")["name"] == "sst2"
    assert client.get_model_repository_index() == [{"name": "sst2", "version": "1", "state": "READY", "reason": ""}]


def test_statistics(client):
    def stats():
        return client.get_inference_statistics("sst2")["model_stats"][0]
    before = stats()
    client.infer("sst2", [text_input(TEXTS, True)])
    assert stats()["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert client.get_inference_statistics()["model_stats"][0]["name"] == "sst2"


@pytest.mark.parametrize(("model", "texts", "outputs", "part"), [
    ("other", ["a"], None, "no such model"),
    ("sst2", [""], None, "empty"),
    ("sst2", ["a"], [triton.InferRequestedOutput("scores")], "outputs"),
    ("sst2", ["a"], [triton.InferRequestedOutput("logits", class_count=2)], "classification"),
    ("sst2", ["a"] * 129, None, "--max-inputs 128"),
])
def test_errors_reach_the_caller(client, model, texts, outputs, part):
    with pytest.raises(InferenceServerException, match=part):
        client.infer(model, [text_input(texts, True)], outputs=outputs)
    assert client.is_server_live()
