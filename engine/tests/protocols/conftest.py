# SPDX-License-Identifier: Apache-2.0
"""One server for all tests here, on the bundled model: INFERD_BIN and INFERD_TEST_MODEL name others."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BIN = os.environ.get("INFERD_BIN", str(ROOT / "build" / "inferd"))
MODEL = os.environ.get("INFERD_TEST_MODEL", str(ROOT / "models" / "sst2-minilm-l6"))


def serve(*options):
    """A server's process and port, once it is ready."""
    process = subprocess.Popen([BIN, "serve", "--model", MODEL, "--served-model-name", "sst2", "--port", "0",
                                "--log-format", "json", *options], stderr=subprocess.PIPE, text=True)
    port = 0
    for line in process.stderr:
        event = json.loads(line)
        if "url" in event:
            port = int(event["url"].rsplit(":", 1)[1])
        if event["event"] == "ready":
            return process, port
    raise AssertionError(f"the server ended with {process.wait()}")


@pytest.fixture(scope="session")
def port():
    process, port = serve()
    yield port
    process.terminate()
    assert process.wait(60) == 0
