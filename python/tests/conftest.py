# SPDX-License-Identifier: Apache-2.0
"""What the tests run against: the installed package, the repository's models, and build/inferd.

INFERD_BIN is the C binary whose answers ours must equal, INFERD_MODEL the default model's directory,
INFERD_TEST_CALLS the number of calls of the leak test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = os.environ.get("INFERD_BIN", str(ROOT / "build" / "inferd"))
MODEL = os.environ.get("INFERD_MODEL", str(ROOT / "models" / "sst2-minilm-l6"))
GOLDEN = ROOT / "engine" / "tests" / "model" / "golden"
TINY = str(GOLDEN / "bert-f32")


def run_python(code: str, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter: for what forks, leaks, or dies."""
    result = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=600)
    if check and result.returncode != 0:
        raise AssertionError(f"exit {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


@pytest.fixture(scope="session")
def model():
    import inferd

    with inferd.Model(MODEL, threads=2) as m:
        yield m


@pytest.fixture(scope="session")
def tiny():
    import inferd

    with inferd.Model(TINY, threads=1) as m:
        yield m


@pytest.fixture(scope="session")
def sst2() -> list[str]:
    lines = (ROOT / "models" / "eval" / "sst2-dev.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[1] for line in lines[1:]]
