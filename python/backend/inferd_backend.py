# SPDX-License-Identifier: Apache-2.0
"""The PEP 517 backend: scikit-build-core, with the C engine inside a source distribution.

The engine's sources are beside this project in the repository, not below it, so an sdist of the project alone
could not be built. build_sdist() lays both out in a temporary folder and packs that; everything else is
scikit-build-core's. An sdist that is unpacked has the engine already and packs itself as it is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from scikit_build_core.build import (
    build_editable,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from scikit_build_core.build import build_sdist as _build_sdist

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

PROJECT = ("CMakeLists.txt", "LICENSE", "README.md", "backend", "ext", "inferd", "pyproject.toml")
ENGINE = ("CMakeLists.txt", "include", "src")
NOT_IN_THE_LIBRARY = ("server", "cli")  # rooms that IFD_SERVER=OFF leaves out


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    here, engine = Path.cwd(), Path.cwd().parent / "engine"
    if (here / "engine").is_dir():
        return str(_build_sdist(sdist_directory, config_settings))
    if not (engine / "CMakeLists.txt").is_file():
        raise SystemExit(f"inferd: {engine} is not there: an sdist is made in the repository or in an unpacked sdist")
    target = Path(sdist_directory).resolve()
    with tempfile.TemporaryDirectory(prefix="inferd-sdist-") as stage:
        for name in PROJECT:
            _copy(here / name, Path(stage, name))
        for name in ENGINE:
            _copy(engine / name, Path(stage, "engine", name))
        for room in NOT_IN_THE_LIBRARY:
            shutil.rmtree(Path(stage, "engine", "src", room))
        os.chdir(stage)
        try:
            return str(_build_sdist(str(target), config_settings))
        finally:
            os.chdir(here)


def _copy(source: Path, to: Path) -> None:
    """Links become what they point to."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copyfile(source, to)
