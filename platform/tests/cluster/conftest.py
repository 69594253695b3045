# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a network once a run, a control plane once a module, both empty at first. What a test wants shown is collected by
`note` and printed at the end of the run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # builds, door

import network  # noqa: E402
from controlplane import ControlPlane  # noqa: E402

NOTES: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def namespace() -> None:
    network.set_up()


@pytest.fixture(scope="session")
def note() -> Callable[[str], None]:
    return NOTES.append


@pytest.fixture(scope="session")
def programs() -> Path:
    return Path(os.environ["INFERD_TOOLS_BIN"])


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, programs: Path, request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp(request.module.__name__) / "plane", programs)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in NOTES:
        terminalreporter.write_line(line)
