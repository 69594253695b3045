# SPDX-License-Identifier: Apache-2.0
"""A tree as the bytes of an image layer: a tar whose every field is decided here, and its gzip.

Sorted by path, owner and group 0 without names, all times one number, no device or inode: the same tree gives the same bytes on every
machine. The gzip has no name and no time; its bytes depend on zlib's version, the tar's (the diff id) do not.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from pathlib import Path

from tree import Tree

LEVEL = 6


def tar_bytes(tree: Tree, epoch: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, entry in sorted(tree.entries.items()):
            info = tarfile.TarInfo(path[1:])
            info.mtime, info.mode = epoch, entry.mode
            if entry.kind == "dir":
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif entry.kind == "link":
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
                tar.addfile(info)
            else:
                info.size = len(entry.data)
                tar.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def gzip_bytes(data: bytes, level: int = LEVEL) -> bytes:
    """RFC 1952 with no name, time zero and "unknown" operating system."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    tail = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + body + tail


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def compressed(tar: bytes, cache: Path | None) -> bytes:
    """The gzip of a layer, from the cache when this zlib packed the same tar before."""
    if cache is None:
        return gzip_bytes(tar)
    held = cache / f"{sha256(tar)}-zlib{zlib.ZLIB_RUNTIME_VERSION}-{LEVEL}.gz"
    if held.exists():
        data = held.read_bytes()
        if zlib.decompress(data, 16 + zlib.MAX_WBITS) == tar:
            return data
    data = gzip_bytes(tar)
    cache.mkdir(parents=True, exist_ok=True)
    part = held.with_suffix(".part")
    part.write_bytes(data)
    part.replace(held)
    return data
