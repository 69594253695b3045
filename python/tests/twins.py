# SPDX-License-Identifier: Apache-2.0
"""Broken twins of the extension: one line of its C made wrong, for tests that must catch it.

    twins.py DIRECTORY FILE OLD NEW LIBRARY [compiler options]    prints the folder to import the twin from
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "libinferd.a"


def build(directory: Path, file: str, old: str, new: str, library: Path = LIBRARY, options: tuple[str, ...] = ()) -> Path:
    """A folder with the package and an extension in which `old` of `file` is `new`."""
    sources, site = directory / "ext", directory / "site"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(ROOT / "python" / "ext", sources)
    shutil.copytree(ROOT / "python" / "inferd", site / "inferd", ignore=shutil.ignore_patterns("__pycache__"))
    text = (sources / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times: the twin needs another line"
    (sources / file).write_text(text.replace(old, new), encoding="utf-8")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-g", "-std=c11", "-D_GNU_SOURCE", *options,
                    f"-I{sysconfig.get_path('include')}", f"-I{ROOT / 'engine' / 'include'}", *sorted(map(str, sources.glob("*.c"))),
                    str(library), "-l:libutf8proc.a", "-lm", "-lpthread", "-o", str(site / "inferd" / "_engine.abi3.so")],
                   check=True)
    return site


def environment(site: Path) -> dict[str, str]:
    """In which `import inferd` is the twin."""
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    where, *what = sys.argv[1:]
    print(build(Path(where), *what[:3], Path(what[3]), tuple(what[4:])))
