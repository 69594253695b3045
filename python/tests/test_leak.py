# SPDX-License-Identifier: Apache-2.0
"""Memory over many calls: the slope of the resident set in bytes a call, after a warm-up.

INFERD_TEST_CALLS calls of each kind (default 40,000 here, 1,000,000 in `make test-python`). The control
keeps 64 bytes a call and must be found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import twins
from conftest import TINY

CALLS = int(os.environ.get("INFERD_TEST_CALLS", "40000"))
LIMIT_BYTES = 16.0 * 40000 / max(CALLS, 40000)  # a call; noise is a constant, so more calls see more

CODE = """
import asyncio, gc, json, os, sys
import inferd
kind, calls, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
m = inferd.Model(path, threads=1)
body, texts, kept = b'{"inputs":["good film","bad"]}', ["good film", "bad"], []

def errors():
    for bad in (b'{"inputs":[]}', b"{", b'{"text":"\\xff"}'):
        try:
            m.classify_json(bad)
        except inferd.Error:
            pass

async def in_loop(n, call):
    for _ in range(n // 50):
        await asyncio.gather(*(call() for _ in range(50)))

async def cancelled(n):
    for _ in range(n // 50):
        tasks = [asyncio.ensure_future(m.aclassify(texts)) for _ in range(50)]
        await asyncio.sleep(0)
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

def run(n):
    if kind == "classify":
        for _ in range(n): m.classify(texts)
    elif kind == "classify_json":
        for _ in range(n): m.classify_json(body)
    elif kind == "errors":
        for _ in range(n // 3): errors()
    elif kind == "aclassify":
        asyncio.run(in_loop(n, lambda: m.aclassify(texts)))
    elif kind == "aclassify_json":
        asyncio.run(in_loop(n, lambda: m.aclassify_json(body)))
    elif kind == "cancelled":
        asyncio.run(cancelled(n))
    else:  # the control
        for _ in range(n):
            m.classify_json(body)
            kept.append(bytes(64))

def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")

run(calls // 2)
points, done = [], 0
for _ in range(10):
    points.append((done, resident()))
    run(calls // 10)
    done += calls // 10
points.append((done, resident()))
mean_x = sum(x for x, _ in points) / len(points)
mean_y = sum(y for _, y in points) / len(points)
slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
print(json.dumps({"kind": kind, "calls": done, "bytes_per_call": round(slope, 3)}))
"""


def slope(kind: str, environment: dict[str, str] | None = None, calls: int = CALLS) -> float:
    result = subprocess.run([sys.executable, "-c", CODE, kind, str(calls), TINY], capture_output=True, text=True,
                            env=environment, check=True)
    report = json.loads(result.stdout)
    print("leak:", report)
    return report["bytes_per_call"]


@pytest.mark.parametrize("kind", ["classify", "classify_json", "aclassify", "aclassify_json", "errors", "cancelled"])
def test_memory_stands_still(kind):
    """How much is under way at once differs from run to run, so the most that was ever needed may rise
    within one; a leak is there in each."""
    assert any(slope(kind) < LIMIT_BYTES for _ in range(3))


def test_the_control_is_found():
    assert all(slope("control") > max(60.0, LIMIT_BYTES) for _ in range(2))


@pytest.mark.parametrize(("kind", "file", "old", "new"), [
    ("classify", "results.c", "Py_XDECREF(one);", "if (failed) Py_XDECREF(one);"),
    ("aclassify_json", "completions.c", "Py_XDECREF(value);\n    Py_XDECREF(error);", "Py_XDECREF(error);"),
    ("cancelled", "completions.c", "call->channel = NULL;\n    ext_call_give(call);", "call->channel = NULL;"),
])
def test_a_leak_in_the_extension_is_found(kind, file, old, new, tmp_path):
    """Controls in C: a reference too many, and a call that does not come back to its pool. A million of the latter take 13 GB."""
    site = twins.build(tmp_path, file, old, new)
    assert slope(kind, twins.environment(site), min(CALLS, 40000)) > 60.0
