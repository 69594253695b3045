# SPDX-License-Identifier: Apache-2.0
"""Types: the stub is the module's, the error classes are the engine's table, and users' code is checked."""

from __future__ import annotations

import builtins
import re
import subprocess
import sys

import inferd
from conftest import ROOT
from inferd import _engine

PYPROJECT = str(ROOT / "python" / "pyproject.toml")


def run(*args: str, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *args], capture_output=True, text=True, cwd=cwd, timeout=600)


def test_the_stub_is_the_module(tmp_path):
    result = run("mypy.stubtest", "inferd._engine", "--mypy-config-file", PYPROJECT, cwd=tmp_path)
    assert result.returncode == 0, result.stdout


def test_typed_use(tmp_path):
    good = tmp_path / "good.py"
    good.write_text("import inferd\n"
                    "m = inferd.Model('x', dtype='int8', threads=2)\n"
                    "label: str = m.classify(['a'])[0].label\n"
                    "scores: tuple[inferd.Score, ...] | None = m.classify(['a'], top_k=3, raw_scores=True)[0].scores\n"
                    "async def f() -> bytes:\n    return await m.aclassify_json(b'')\n"
                    "async def g() -> tuple[bytes, inferd.Times]:\n    return await m.aclassify_json(b'', times=True)\n",
                    encoding="utf-8")
    bad = tmp_path / "bad.py"
    bad.write_text("import inferd\nx: int = inferd.Model('x').classify(['a'])[0].label\n", encoding="utf-8")
    result = run("mypy", "--strict", str(good), cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "Incompatible types" in run("mypy", "--strict", str(bad), cwd=tmp_path).stdout


def test_the_error_classes_are_the_table():
    header = (ROOT / "engine" / "include" / "inferd" / "inferd.h").read_text(encoding="utf-8")
    table = header[header.index("#define INFERD_STATUS_MAP"):header.index("typedef enum")]
    rows = re.findall(r'X\((\w+), (\d+), "(\w+)", "[^"]*",\s*(\d+),\s*(\d)\)', table.replace("\\\n", ""))
    assert len(rows) == 34
    for name, _code, kind, http, retry in rows:
        if name == "OK":
            continue
        cls = getattr(_engine, "".join(w.capitalize() for w in name.split("_")) + "Error")
        assert (cls.type, cls.code, cls.retryable) == (kind, int(http), retry == "1")
        assert issubclass(cls, inferd.Error)
        assert cls in {getattr(inferd, n) for n in inferd.__all__}, f"{cls} is not public"
    assert not {n for n in inferd.__all__ if hasattr(builtins, n)}, "hides a built-in name"
