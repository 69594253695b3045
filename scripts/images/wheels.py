# SPDX-License-Identifier: Apache-2.0
"""Python wheels by name, version and SHA-256, unpacked into a tree the way an installer would, and their byte code.

A wheel is a zip whose files go to site-packages, but for *.data/ and the console scripts of entry_points.txt (PyPA, "Binary
distribution format", "Entry points specification"). Nothing of a package is run. Byte code is compiled by the image's own
interpreter, started by the image's own dynamic linker, with a hash in place of the source's time and no check at import.
"""

from __future__ import annotations

import configparser
import datetime
import email.parser
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from layer import sha256
from tree import Entry, Tree

SITE = "/usr/local/lib/python3.11/dist-packages"
SCRIPTS = "/usr/local/bin"
# what pip may take for Debian 12 (glibc 2.36) on x86-64
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)] + ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
SCRIPT = """#!/usr/bin/python3
import sys
from {module} import {first}
sys.exit({call}())
"""
COMPILE = """import py_compile, sys
root, paths = sys.argv[1], open(sys.argv[2], encoding="utf-8").read().split("\\n")
for path in paths:
    at = root + path
    try:
        py_compile.compile(at, dfile=path, doraise=True, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except py_compile.PyCompileError:
        print(path)  # a template or a file of another Python: it stays source
"""


class WheelError(Exception):
    """pip failed, a hash differs, or a wheel is not laid out as the format says."""


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    sha256: str
    licence: str = "NOASSERTION"


def read_lock(path: Path) -> dict[str, tuple[str, str]]:
    """name -> (version, SHA-256). Lines are pip's: NAME==VERSION --hash=sha256:HEX."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            m = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+) --hash=sha256:([0-9a-f]{64})", line)
            if not m:
                raise WheelError(f"{path}:{number}: not NAME==VERSION --hash=sha256:HEX: {line}")
            found[m.group(1)] = (m.group(2), m.group(3))
    return found


def _pip(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *argv], capture_output=True, text=True, check=False)


def _target() -> list[str]:
    words = ["--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp"]
    return words + [w for p in PLATFORMS for w in ("--platform", p)] + [w for abi in ("cp311", "abi3", "none") for w in ("--abi", abi)]


def resolve(requirement: str, constraints: Path) -> dict[str, tuple[str, str]]:
    """What the requirement brings, at the versions of the constraints: name -> (version, SHA-256 of the wheel pip would take)."""
    import json

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = _pip("install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(report), "--target", f"{folder}/t", *_target(),
                    "-c", str(constraints), requirement)
        if done.returncode != 0:
            raise WheelError(f"pip cannot resolve {requirement}: {done.stderr.strip()[-800:]}")
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {i["metadata"]["name"]: (i["metadata"]["version"], i["download_info"]["archive_info"]["hashes"]["sha256"]) for i in items}


def fetch(lock: Path, cache: Path) -> list[Path]:
    """The wheels of a lock, each with its hash."""
    want, folder = read_lock(lock), cache / "wheels"
    folder.mkdir(parents=True, exist_ok=True)

    def held() -> dict[str, Path]:
        return {sha256(p.read_bytes()): p for p in sorted(folder.glob("*.whl"))}

    have = held()
    if any(digest not in have for _, digest in want.values()):
        done = _pip("download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(folder), *_target(), "-r", str(lock))
        if done.returncode != 0:
            raise WheelError(f"pip cannot download what {lock} names: {done.stderr.strip()[-800:]}")
        have = held()
    missing = [name for name, (_, digest) in want.items() if digest not in have]
    if missing:
        raise WheelError(f"{lock}: pip brought no wheel with the lock's hash for {', '.join(missing)}")
    return [have[digest] for _, (_, digest) in sorted(want.items())]


def unpack(path: Path, tree: Tree) -> Wheel:
    """Add a wheel to the tree; returns what its METADATA says."""
    source = path.name.split("-")[0]
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if not n.endswith("/"))
        info = next((n.split("/")[0] for n in names if n.count("/") == 1 and n.endswith(".dist-info/METADATA")), None)
        if info is None:
            raise WheelError(f"{path.name} has no dist-info/METADATA")
        for name in names:
            data, mode = archive.read(name), archive.getinfo(name).external_attr >> 16
            at, executable = f"{SITE}/{name}", bool(mode & 0o111)
            m = re.match(r"[^/]+\.data/(purelib|platlib|scripts|data|headers)/(.+)", name)
            if m:
                base = {"purelib": SITE, "platlib": SITE, "scripts": SCRIPTS, "data": "/usr/local", "headers": "/usr/local/include"}[m.group(1)]
                at, executable = f"{base}/{m.group(2)}", executable or m.group(1) == "scripts"
                if m.group(1) == "scripts" and data.startswith(b"#!python"):
                    data = b"#!/usr/bin/python3" + data[data.index(b"\n"):]
            tree.add(at, Entry("file", 0o755 if executable else 0o644, data, source=source))
        tree.add(f"{SITE}/{info}/INSTALLER", Entry("file", 0o644, b"inferd\n", source=source))
        meta = email.parser.BytesParser().parsebytes(archive.read(f"{info}/METADATA"), headersonly=True)
        if f"{info}/entry_points.txt" in names:
            points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
            points.optionxform = str  # type: ignore[assignment,method-assign]
            points.read_string(archive.read(f"{info}/entry_points.txt").decode())
            for script, target in (points["console_scripts"].items() if points.has_section("console_scripts") else ()):
                module, _, call = target.split("[")[0].strip().partition(":")
                text = SCRIPT.format(module=module, first=call.split(".")[0], call=call)
                tree.add(f"{SCRIPTS}/{script}", Entry("file", 0o755, text.encode(), source=source))
    licence = meta.get("License-Expression") or "NOASSERTION"
    return Wheel(meta["Name"], meta["Version"], sha256(path.read_bytes()), licence)


def normalise(path: Path, epoch: int) -> None:
    """Rewrite a wheel in place: names sorted with RECORD last, mode 644 (755 for shared objects), one time for all."""
    when = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).timetuple()[:6]
    with zipfile.ZipFile(path) as archive:
        files = {n: archive.read(n) for n in archive.namelist() if not n.endswith("/")}
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files, key=lambda n: (n.endswith(".dist-info/RECORD"), n)):
            info = zipfile.ZipInfo(name, when)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            info.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            archive.writestr(info, files[name])
    part.replace(path)


def byte_code(whole: Tree, layers: list[Tree], linker: str, python: str = "/usr/bin/python3.11") -> int:
    """Add the .pyc of every .py in those layers, compiled by the interpreter of the whole tree. Returns how many there are."""
    paths = [p for p, _ in whole.files() if p.endswith(".py") and "/python3.11/" in p]
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        root = Path(folder) / "root"
        root.mkdir()
        whole.write(root)
        (Path(folder) / "compile.py").write_text(COMPILE, encoding="utf-8")
        (Path(folder) / "paths").write_text("\n".join(paths), encoding="utf-8")
        libraries = ":".join(str(root / p) for p in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
        done = subprocess.run([str(root / linker.lstrip("/")), "--library-path", libraries, str(root / python.lstrip("/")), "-S", f"{folder}/compile.py", str(root),
                               f"{folder}/paths"], capture_output=True, text=True, check=False,
                              env={"PYTHONHOME": f"{root}/usr", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/nonexistent"})
        if done.returncode != 0:
            raise WheelError(f"the image's interpreter cannot compile its packages: {done.stderr.strip()[-800:]}")
        count = 0
        for tree in layers:
            for path, entry in tree.files():
                if not path.endswith(".py"):
                    continue
                name = path.rpartition("/")
                pyc = f"{name[0]}/__pycache__/{name[2][:-3]}.cpython-311.pyc"
                at = root / pyc[1:]
                if at.exists():
                    tree.add(pyc, Entry("file", 0o644, at.read_bytes(), source=entry.source))
                    count += 1
    return count
