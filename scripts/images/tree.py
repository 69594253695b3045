# SPDX-License-Identifier: Apache-2.0
"""A root file system in memory: paths to entries, without owners, times or anything else of the machine that builds it.

Paths are absolute, normalised, and resolved through the links of a merged /usr (/lib is usr/lib, as on Debian), so that a file has
one name. Every entry belongs to root and is written with the time of the build (layer.py).
"""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass, field
from pathlib import Path

MERGED = ("bin", "sbin", "lib", "lib64")  # links into /usr; lib64 is x86-64's


class TreeError(Exception):
    """Two packages that disagree about a path, or a path that leaves the root. The message names both sides."""


@dataclass(frozen=True)
class Entry:
    kind: str  # "dir", "file" or "link"
    mode: int = 0o755  # permission bits alone
    data: bytes = b""  # of a file
    target: str = ""  # of a link
    source: str = ""  # the package or folder that it is from: for messages and the SBOM


@dataclass
class Tree:
    entries: dict[str, Entry] = field(default_factory=dict)

    @staticmethod
    def normal(path: str) -> str:
        """`./lib/x` -> `/usr/lib/x`. Raises TreeError for a path that leaves the root."""
        parts = [p for p in path.split("/") if p not in ("", ".")]
        if ".." in parts:
            raise TreeError(f"{path} leaves the root")
        if parts and parts[0] in MERGED and len(parts) > 1:
            parts.insert(0, "usr")
        return "/" + "/".join(parts)

    def add(self, path: str, entry: Entry, replace: bool = False) -> None:
        """Add an entry and the folders above it. The same file twice is one; a different one is refused unless `replace`."""
        path = self.normal(path)
        if path == "/":
            return
        old = self.entries.get(path)
        if old is not None and not replace:
            if old.kind == entry.kind == "dir":
                return
            if (old.kind, old.data, old.target) != (entry.kind, entry.data, entry.target):
                raise TreeError(f"{path} is in {old.source} and differs in {entry.source}")
            return
        above = posixpath.dirname(path)
        while above != "/":
            held = self.entries.get(above)
            if held is None:
                self.entries[above] = Entry("dir", 0o755, source=entry.source)
            elif held.kind != "dir":
                raise TreeError(f"{path} is below {above}, which is a {held.kind} of {held.source}")
            above = posixpath.dirname(above)
        self.entries[path] = entry

    def add_folder(self, folder: Path, to: str, source: str, drop: list[str] | None = None) -> None:
        """A folder of this machine with what is below it; hidden files, links and what `drop` names stay out."""
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or any(part.startswith(".") for part in name.split("/")) or matches(name, drop or []):
                continue
            if path.is_file():
                self.add(f"{to}/{name}", Entry("file", 0o644, path.read_bytes(), source=source))

    def merge(self, other: Tree) -> None:
        for path, entry in other.entries.items():
            self.add(path, entry)

    def resolve(self, path: str, hops: int = 20) -> str | None:
        """The path after its links, absolute within the root; None when it names nothing."""
        parts, done = [p for p in path.split("/") if p], "/"
        while parts:
            if parts[0] == "..":
                done = posixpath.dirname(done)
                parts.pop(0)
                continue
            step = posixpath.join(done, parts.pop(0))
            entry = self.entries.get(step)
            if entry is None:
                return None
            if entry.kind == "link":
                hops -= 1
                if hops < 0:
                    return None
                parts = [p for p in entry.target.split("/") if p and p != "."] + parts
                done = "/" if entry.target.startswith("/") else done
                continue
            done = step
        return done

    def prune(self, keep: list[str], drop: list[str]) -> int:
        """Remove files and links that `drop` names, or that a `keep` which is not empty does not; then empty folders that
        only held those. Returns how many. Patterns are fnmatch's over the whole path, in which * also matches a slash."""
        gone = [p for p, e in self.entries.items() if e.kind != "dir" and (matches(p, drop) or (keep and not matches(p, keep)))]
        for path in gone:
            del self.entries[path]
        used = set()
        for path in self.entries:
            if self.entries[path].kind != "dir":
                while path != "/":
                    path = posixpath.dirname(path)
                    used.add(path)
        parents = {posixpath.dirname(p) for p in gone}
        for path in list(self.entries):
            if self.entries[path].kind == "dir" and path not in used and (matches(path, drop) or (keep and not matches(path, keep)) or path in parents):
                del self.entries[path]
        return len(gone)

    def files(self) -> list[tuple[str, Entry]]:
        return sorted((p, e) for p, e in self.entries.items() if e.kind == "file")

    def unpacked_bytes(self) -> int:
        return sum(len(e.data) for e in self.entries.values())

    def write(self, folder: Path) -> None:
        """Write the tree below an existing folder of this machine; owners are whoever calls."""
        for path, entry in sorted(self.entries.items()):
            at = folder / path[1:]
            if entry.kind == "dir":
                at.mkdir(parents=True, exist_ok=True)
                at.chmod(entry.mode)
            elif entry.kind == "link":
                at.symlink_to(entry.target)
            else:
                at.write_bytes(entry.data)
                at.chmod(entry.mode)


def matches(path: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
