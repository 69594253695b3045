# SPDX-License-Identifier: Apache-2.0
"""/openapi.json: a valid document; requests that schemathesis makes of it get no 5xx, and answers true
to it."""

import copy
import http.client
import json
import os

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (content_type_conformance, response_schema_conformance,
                                               status_code_conformance, unsupported_method)

EXAMPLES = int(os.environ.get("INFERD_TEST_EXAMPLES", "25"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
          unsupported_method]


@pytest.fixture(scope="session")
def document(port):
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("GET", "/openapi.json")
    return json.loads(c.getresponse().read())


def test_the_document_is_valid(document):
    validate(document)
    broken = copy.deepcopy(document)  # control
    del broken["paths"]["/infer"]["post"]["responses"]
    broken["info"].pop("title")
    with pytest.raises(Exception):
        validate(broken)


def test_it_has_the_routes_that_the_server_lists(document, port):
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("GET", "/", headers={"Accept": "application/json"})
    listed = {r["path"] for r in json.loads(c.getresponse().read())["routes"]}
    files = {p for p in listed if p.startswith("/ui/") or p == "/docs"}
    assert set(document["paths"]) == listed - files
    assert len(document["paths"]) > 30


def test_schemas_refuse_other_answers(document):
    """Control of the conformance check: an answer that differs is not true to the schema."""
    schema = {**document["components"]["schemas"]["InferAnswer"], "components": document["components"]}
    good = [{"label": "A", "confidence": 0.5}]
    jsonschema.validate(good, schema)
    for bad in ([{"label": "A"}], [{"label": "A", "confidence": "x"}], {"label": "A"},
                [{"label": "A", "confidence": 0.5, "extra": 1}]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


@pytest.fixture(scope="session")
def api(port):
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")


calls = []


def ask(case):
    body = case.body if isinstance(case.body, dict) else {}
    parameters = body.get("parameters")
    if isinstance(parameters, dict):  # a time-out of a millisecond earns its 504
        parameters.pop("timeout_ms", None)
        parameters.pop("timeout", None)
    response = case.call_and_validate(checks=CHECKS)
    calls.append((case.operation.label, response.status_code))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as described", "otherwise"])
def test_every_operation(api, mode):
    for result in api.get_all_operations():
        operation = result.ok()
        if mode == GenerationMode.NEGATIVE and not operation.body:
            continue

        @given(operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                  suppress_health_check=list(HealthCheck))
        def run(case):
            ask(case)
        run()


def test_enough_was_asked():
    statuses = {s for _, s in calls}
    assert len(calls) > 100 and {200, 400} <= statuses, (len(calls), statuses)
    assert {"POST /infer", "POST /predict", "POST /classify", "POST /tokenize"} <= {o for o, s in calls if s == 200}
