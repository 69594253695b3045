# SPDX-License-Identifier: Apache-2.0
"""An OCI image layout (image-spec 1.1): blobs, one manifest a platform, the index over them, and the layout's own index.json.

JSON is written with sorted keys and no spaces, so the same image has the same digests. `Healthcheck` in the configuration is Docker's
field; OCI runtimes ignore it. Kubernetes uses the manifests' probes instead.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layer import sha256
from tree import Tree

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Layer:
    created_by: str
    diff_id: str  # sha256:HEX of the tar
    blob: bytes  # its gzip


@dataclass
class Platform:
    """One architecture's image."""

    arch: str
    config: dict[str, Any]  # the `config` object: User, Entrypoint, ...
    layers: list[Layer]


@dataclass
class Layout:
    """Collects blobs; `write` makes the folder."""

    blobs: dict[str, bytes] = field(default_factory=dict)

    def put(self, data: bytes, media: str, **more: Any) -> dict[str, Any]:
        """Store a blob; returns its descriptor."""
        digest = sha256(data)
        self.blobs[digest] = data
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(self, platform: Platform, created: str, annotations: dict[str, str]) -> dict[str, Any]:
        """Configuration, layers and manifest of one platform; returns the manifest's descriptor with its platform."""
        variant = {"variant": "v8"} if platform.arch == "arm64" else {}
        config = {
            "created": created, "architecture": platform.arch, "os": "linux", **variant, "config": platform.config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in platform.layers]},
            "history": [{"created": created, "created_by": layer.created_by} for layer in platform.layers],
        }
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.put(canonical(config), CONFIG),
            "layers": [self.put(layer.blob, LAYER) for layer in platform.layers], "annotations": annotations,
        }
        return self.put(canonical(manifest), MANIFEST, platform={"architecture": platform.arch, "os": "linux", **variant})

    def index(self, manifests: list[dict[str, Any]], annotations: dict[str, str]) -> dict[str, Any]:
        return self.put(canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": annotations}), INDEX)

    def write(self, folder: Path, top: dict[str, Any], tag: str) -> None:
        """Replace `folder` by the layout, with `top` under that tag."""
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "blobs/sha256").mkdir(parents=True)
        for digest, data in self.blobs.items():
            (part / "blobs/sha256" / digest).write_bytes(data)
        (part / "oci-layout").write_bytes(canonical({"imageLayoutVersion": "1.0.0"}))
        entry = {**top, "annotations": {"org.opencontainers.image.ref.name": tag}}
        (part / "index.json").write_bytes(canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)


def archive(folder: Path, epoch: int) -> bytes:
    """The layout as one tar (an OCI archive), its bytes decided by its content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size, info.mtime, info.mode = path.stat().st_size, epoch, 0o644
            tar.addfile(info, io.BytesIO(path.read_bytes()))
    return out.getvalue()


@dataclass
class Reader:
    """Reads a layout back, checking every digest on the way. Raises ValueError for what does not hold."""

    folder: Path

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        algorithm, _, digest = descriptor["digest"].partition(":")
        data = (self.folder / "blobs" / algorithm / digest).read_bytes()
        if algorithm != "sha256" or sha256(data) != digest or len(data) != descriptor["size"]:
            raise ValueError(f"{self.folder}: blob {descriptor['digest']} is not what its descriptor says")
        return data

    def top(self) -> tuple[str, dict[str, Any]]:
        """(tag, descriptor of the image's index)"""
        entries = json.loads((self.folder / "index.json").read_bytes())["manifests"]
        if len(entries) != 1 or entries[0]["mediaType"] != INDEX:
            raise ValueError(f"{self.folder}/index.json does not hold one image index")
        return entries[0]["annotations"]["org.opencontainers.image.ref.name"], entries[0]

    def platforms(self) -> dict[str, dict[str, Any]]:
        """Architecture -> descriptor of its manifest."""
        index = json.loads(self.blob(self.top()[1]))
        return {d["platform"]["architecture"]: d for d in index["manifests"]}

    def config(self, arch: str) -> dict[str, Any]:
        return json.loads(self.blob(json.loads(self.blob(self.platforms()[arch]))["config"]))

    def tree(self, arch: str) -> Tree:
        """The root file system of one platform. Layers here only add, so there are no whiteouts to apply."""
        import gzip

        from tree import Entry

        manifest, whole = json.loads(self.blob(self.platforms()[arch])), Tree()
        for descriptor, diff_id in zip(manifest["layers"], self.config(arch)["rootfs"]["diff_ids"], strict=True):
            data = gzip.decompress(self.blob(descriptor))
            if f"sha256:{sha256(data)}" != diff_id:
                raise ValueError(f"{self.folder}: layer {descriptor['digest']} does not unpack to its diff id")
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    if member.uid or member.gid or member.uname or member.gname:
                        raise ValueError(f"{member.name} has an owner other than root")
                    kind = "dir" if member.isdir() else "link" if member.issym() else "file"
                    content = tar.extractfile(member).read() if kind == "file" else b""
                    whole.entries["/" + member.name] = Entry(kind, member.mode, content, member.linkname)
        return whole
