# SPDX-License-Identifier: Apache-2.0
"""Does a tree hold everything that its ELF files need? What the dynamic linker would look for, looked for without running anything.

For each file: its interpreter, each DT_NEEDED along DT_RPATH/DT_RUNPATH ($ORIGIN expanded), what is loaded with it, and the
linker's own directories; and each symbol version that it asks of a library (GLIBC_2.34), which that library must define. Layout:
System V ABI; version sections: LSB, "Symbol Versioning". 64-bit little-endian only, as both architectures are.
"""

from __future__ import annotations

import posixpath
import struct
from dataclasses import dataclass, field

from tree import Tree

TRIPLET = {62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu"}  # e_machine
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_FLAGS_1 = 1, 5, 14, 15, 29, 0x6FFFFFFB
DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF


@dataclass
class Elf:
    machine: int
    kind: int  # ET_EXEC 2, ET_DYN 3
    interpreter: str = ""
    soname: str = ""
    needed: list[str] = field(default_factory=list)
    rpath: list[str] = field(default_factory=list)
    runpath: list[str] = field(default_factory=list)
    wants: dict[str, list[str]] = field(default_factory=dict)  # library -> symbol versions
    defines: set[str] = field(default_factory=set)
    relro: bool = False
    executable_stack: bool = False


def parse(data: bytes) -> Elf | None:
    """None for what is not a 64-bit little-endian ELF executable or shared object; ValueError for a damaged one."""
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
        return None
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind not in (2, 3):
        return None
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    elf, loads, dynamic = Elf(machine, kind), [], None
    try:
        for i in range(count):
            ptype, _, at, address, _, length = struct.unpack_from("<IIQQQQ", data, offset + i * size)
            if ptype == PT_LOAD:
                loads.append((address, at, length))
            elif ptype == PT_INTERP:
                elf.interpreter = data[at:at + length].rstrip(b"\0").decode()
            elif ptype == PT_DYNAMIC:
                dynamic = (at, length)
            elif ptype == PT_GNU_RELRO:
                elf.relro = True
            elif ptype == PT_GNU_STACK:
                elf.executable_stack = bool(struct.unpack_from("<I", data, offset + i * size + 4)[0] & 1)
        if dynamic:
            _read_dynamic(elf, data, loads, *dynamic)
    except (struct.error, UnicodeDecodeError, IndexError) as e:
        raise ValueError(f"a damaged ELF file: {e}") from None
    return elf


def _read_dynamic(elf: Elf, data: bytes, loads: list[tuple[int, int, int]], at: int, length: int) -> None:
    def where(address: int) -> int:
        for start, file_at, size in loads:
            if start <= address < start + size:
                return file_at + address - start
        raise IndexError(f"address {address:#x} is in no segment")

    tags: list[tuple[int, int]] = []
    for i in range(0, length, 16):
        tag, value = struct.unpack_from("<QQ", data, at + i)
        if tag == 0:
            break
        tags.append((tag, value))
    one = dict(tags)
    if DT_STRTAB not in one:
        return
    strings = where(one[DT_STRTAB])

    def text(index: int) -> str:
        return data[strings + index:data.index(b"\0", strings + index)].decode()

    elf.needed = [text(v) for t, v in tags if t == DT_NEEDED]
    elf.soname = text(one[DT_SONAME]) if DT_SONAME in one else ""
    elf.rpath = text(one[DT_RPATH]).split(":") if DT_RPATH in one else []
    elf.runpath = text(one[DT_RUNPATH]).split(":") if DT_RUNPATH in one else []
    if DT_VERNEED in one:
        entry = where(one[DT_VERNEED])
        for _ in range(one[DT_VERNEEDNUM]):
            _, count, name, aux, following = struct.unpack_from("<HHIII", data, entry)
            each = entry + aux
            for _ in range(count):
                _, flags, _, version, step = struct.unpack_from("<IHHII", data, each)
                if not flags & 2:  # VER_FLG_WEAK
                    elf.wants.setdefault(text(name), []).append(text(version))
                each += step
            entry += following
    if DT_VERDEF in one:
        entry = where(one[DT_VERDEF])
        for _ in range(one[DT_VERDEFNUM]):
            _, _, _, _, _, aux, following = struct.unpack_from("<HHHHIII", data, entry)
            elf.defines.add(text(struct.unpack_from("<I", data, entry + aux)[0]))
            entry += following


class Closure:
    """`missing()` lists what is not there, one line each; empty when all is. `found` is every ELF path reached or in the tree."""

    def __init__(self, tree: Tree):
        self.tree, self.elves = tree, {}
        for path, entry in tree.files():
            elf = parse(entry.data)
            if elf is not None:
                self.elves[path] = elf

    def directories(self, path: str, elf: Elf) -> list[str]:
        origin = posixpath.dirname(path)
        own = [d.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin) for d in (elf.runpath or elf.rpath) if d]
        triplet = TRIPLET.get(elf.machine, "")
        return own + [f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib", "/lib64"]

    def library(self, name: str, directories: list[str]) -> str | None:
        for directory in directories:
            at = self.tree.resolve(f"{directory}/{name}")
            if at in self.elves:
                return at
        return None

    def missing(self) -> list[str]:
        faults = []
        machines = {elf.machine for elf in self.elves.values()}
        if len(machines) > 1:
            faults.append(f"ELF files of {len(machines)} architectures: e_machine {sorted(machines)}")
        by_soname = {}
        for path, elf in sorted(self.elves.items()):
            by_soname.setdefault(elf.soname, path)
        for path, elf in sorted(self.elves.items()):
            if elf.interpreter and self.tree.resolve(elf.interpreter) not in self.elves:
                faults.append(f"{path} wants the interpreter {elf.interpreter}, which is not there")
            directories = self.directories(path, elf)
            for name in elf.needed:
                at = self.library(name, directories)
                # A library that a wheel carries is also found when the extension that loads it first has loaded it already.
                if at is None and name in by_soname and by_soname[name].startswith(posixpath.dirname(posixpath.dirname(path))):
                    at = by_soname[name]
                if at is None:
                    faults.append(f"{path} needs {name}, which is in none of {', '.join(directories)}")
                    continue
                lacking = [v for v in elf.wants.get(name, []) if v not in self.elves[at].defines]
                if lacking:
                    faults.append(f"{path} needs {', '.join(lacking)} of {name}, which {at} does not define")
        return faults

    def hardening(self, path: str) -> list[str]:
        """What a server's own executable must have and lacks."""
        elf = self.elves[path]
        faults = []
        if elf.kind != 3:
            faults.append("not position-independent")
        if not elf.relro:
            faults.append("no RELRO segment")
        if elf.executable_stack:
            faults.append("an executable stack")
        return [f"{path}: {f}" for f in faults]
