# SPDX-License-Identifier: Apache-2.0
"""Debian packages by name, version and SHA-256: resolved once into a lock, then downloaded by it and opened without installing.

apt runs on lists of its own below the cache, so neither root's rights nor this machine's architectures or packages matter; the
sources are this machine's. A package that the archive no longer has (a security update replaced it) is an error that says so.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from layer import sha256
from tree import Entry, Tree

FIELDS = ("Package", "Version", "Architecture", "Source", "Maintainer", "Homepage", "Description", "Section", "Installed-Size")


class DebianError(Exception):
    """apt or dpkg-deb failed, or what came is not what the lock says."""


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    arch: str  # of the package: amd64, arm64 or all
    sha256: str

    def line(self) -> str:
        return f"{self.name} {self.version} {self.arch} {self.sha256}"


def read_lock(path: Path) -> list[Package]:
    """Raises DebianError for a line that is not NAME VERSION ARCH SHA256."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            words = line.split()
            if len(words) != 4 or not re.fullmatch(r"[0-9a-f]{64}", words[3]):
                raise DebianError(f"{path}:{number}: not NAME VERSION ARCH SHA256: {line}")
            found.append(Package(*words))
    return found


class Archive:
    """The packages of one architecture."""

    def __init__(self, cache: Path, arch: str):
        self.arch, self.cache = arch, cache / "debian"
        self.state = cache / f"apt-{arch}"

    def _apt(self, program: str, *argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        status = self.state / "status"
        status.touch()
        options = {"APT::Architecture": self.arch, "APT::Architectures::": self.arch, "Acquire::Languages": "none", "Dir::State": str(self.state / "state"),
                   "Dir::State::status": str(status), "Dir::Cache": str(self.state / "cache"), "APT::Sandbox::User": "root",
                   "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false"}
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return subprocess.run([program, "-q", *words, *argv], cwd=cwd, capture_output=True, text=True, check=False)

    def update(self) -> None:
        # A source that has nothing for this architecture may fail; what counts is whether packages are found.
        self._apt("apt-get", "update")

    def resolve(self, names: list[str]) -> list[Package]:
        """The newest version of each. Raises DebianError naming those that there are none of."""
        self.update()
        found = []
        for name in sorted(names):
            shown = self._apt("apt-cache", "show", "--no-all-versions", name).stdout.split("\n\n")[0]
            fields = dict(re.findall(r"(?m)^([A-Za-z0-9-]+): (.*)$", shown))
            if "SHA256" not in fields:
                raise DebianError(f"no package {name} for {self.arch} in this machine's sources (apt-cache show {name})")
            found.append(Package(name, fields["Version"], fields["Architecture"], fields["SHA256"]))
        return found

    def fetch(self, package: Package) -> Path:
        """The .deb, from the cache or the archive; its bytes have the lock's hash or DebianError is raised."""
        held = self.cache / f"{package.name}_{package.version.replace(':', '%3a')}_{package.arch}.deb"
        if held.exists() and sha256(held.read_bytes()) == package.sha256:
            return held
        self.cache.mkdir(parents=True, exist_ok=True)
        want = f"{package.name}={package.version}"
        done = self._apt("apt-get", "download", want, cwd=self.cache)
        if done.returncode != 0:
            self.update()
            done = self._apt("apt-get", "download", want, cwd=self.cache)
        if done.returncode != 0 or not held.exists():
            raise DebianError(f"{want} ({package.arch}) is not in the archive any more, or the archive is not reachable: make image-lock takes the "
                              f"newest versions; a snapshot of the archive in this machine's sources gives the old ones. {done.stderr.strip()[-300:]}")
        got = sha256(held.read_bytes())
        if got != package.sha256:
            held.unlink()
            raise DebianError(f"{held.name} has SHA-256 {got}, the lock says {package.sha256}; it was deleted")
        return held

    def open(self, package: Package) -> tuple[Tree, dict[str, str]]:
        """Its files and its control fields. Set-id bits and ownership do not survive: nothing in an image may rely on them."""
        deb = self.fetch(package)
        tree = Tree()
        done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], capture_output=True, check=False)
        if done.returncode != 0:
            raise DebianError(f"dpkg-deb cannot open {deb.name}: {done.stderr.decode(errors='replace').strip()}")
        hard: list[tuple[str, str]] = []
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            for member in tar:
                mode = member.mode & 0o777
                if member.isdir():
                    tree.add(member.name, Entry("dir", mode, source=package.name))
                elif member.issym():
                    tree.add(member.name, Entry("link", 0o777, target=member.linkname, source=package.name))
                elif member.isreg():
                    tree.add(member.name, Entry("file", mode, tar.extractfile(member).read(), source=package.name))
                elif member.islnk():
                    hard.append((member.name, member.linkname))
                else:
                    raise DebianError(f"{deb.name}: {member.name} is neither file, folder nor link")
        for name, target in hard:
            tree.add(name, tree.entries[Tree.normal(target)])
        shown = subprocess.run(["dpkg-deb", "--field", str(deb)], capture_output=True, text=True, check=True).stdout
        return tree, dict(re.findall(r"(?m)^([A-Za-z0-9-]+): (.*)$", shown))


def status(fields: dict[str, str]) -> bytes:
    """The package's entry of /var/lib/dpkg/status.d, where scanners look in images without a dpkg."""
    return "".join(f"{name}: {fields[name]}\n" for name in FIELDS if name in fields).encode()
