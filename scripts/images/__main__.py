# SPDX-License-Identifier: Apache-2.0
"""python3 scripts/images COMMAND: container images without a container engine. scripts/image.sh calls it; docs/images.md explains it.

    build NAME --version V --revision R --epoch N [--binary ARCH=FILE]... [--wheel FILE] [--out DIR]
    lock NAME            write the recipe's locks from what the registries have now
    unpack LAYOUT DIR    the root file system of a layout, and print its configuration
    show LAYOUT...       sizes and digests
    archive LAYOUT FILE --epoch N   the layout as one tar
    wheel FILE --epoch N            rewrite a wheel's zip with modes and times that say nothing of this machine

Exit codes: 0 done, 1 refused (each reason on a line of stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import debian
import layer
import oci
import recipe as recipes
import sbom
import wheels

CACHE = Path(os.environ.get("INFERD_IMAGE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferd/images")


def annotations(recipe: dict, version: str, revision: str, created: str, source: str) -> dict[str, str]:
    """The standard keys of the OCI image specification."""
    found = {"title": recipe["title"], "description": recipe["description"], "version": version, "revision": revision, "created": created,
             "licenses": "Apache-2.0", "vendor": "inferd", "source": source}
    return {f"org.opencontainers.image.{key}": value for key, value in found.items() if value}


def build(o: argparse.Namespace) -> None:
    recipe = recipes.load(o.name)
    binaries = dict(item.split("=", 1) for item in o.binary)
    created = sbom.timestamp(o.epoch)
    labels = annotations(recipe, o.version, o.revision, created, o.source)
    layout, manifests, bills = oci.Layout(), [], {}
    architectures = [a for a in recipe["architectures"] if not o.arch or a in o.arch]
    for arch in architectures:
        inputs = recipes.Inputs(o.version, Path(binaries[arch]) if arch in binaries else None, Path(o.wheel) if o.wheel else None, str(recipes.ROOT))
        built = recipes.build(recipes.load(o.name), arch, inputs, CACHE)
        packed = []
        for name, tree in built.layers:
            tar = layer.tar_bytes(tree, o.epoch)
            packed.append(oci.Layer(f"layer {name} of platform/images/{o.name}", f"sha256:{layer.sha256(tar)}", layer.compressed(tar, CACHE / "layers")))
        descriptor = layout.image(oci.Platform(arch, {**recipe["config"], "Labels": labels}, packed), created, labels)
        manifests.append(descriptor)
        bills[arch] = sbom.document(o.name, o.version, arch, descriptor["digest"], built.components, o.epoch)
    out = Path(o.out)
    out.mkdir(parents=True, exist_ok=True)
    layout.write(out / o.name, layout.index(manifests, labels), o.version)
    for arch, text in bills.items():
        (out / f"{o.name}-{arch}.spdx.json").write_text(text, encoding="utf-8")
    show([out / o.name])


def size(n: int) -> str:
    return f"{n / 1e6:.1f} MB"


def show(layouts: list[Path]) -> None:
    for folder in layouts:
        reader = oci.Reader(folder)
        tag, top = reader.top()
        print(f"{folder.name}:{tag} {top['digest']}")
        for arch, descriptor in reader.platforms().items():
            manifest = json.loads(reader.blob(descriptor))
            unpacked = reader.tree(arch).unpacked_bytes()
            parts = ", ".join(size(d["size"]) for d in manifest["layers"])
            print(f"  {arch}: {size(sum(d['size'] for d in manifest['layers']))} compressed ({parts}), {size(unpacked)} unpacked, manifest {descriptor['digest'][:19]}")


def lock(o: argparse.Namespace) -> None:
    recipe = recipes.load(o.name)
    for arch in recipe["architectures"]:
        packages = debian.Archive(CACHE, arch).resolve(recipes.debian_names(recipe))
        path = recipes.debian_lock(recipe, arch)
        head = "# SPDX-License-Identifier: Apache-2.0\n# Written by make image-lock: Debian 12 packages, NAME VERSION ARCHITECTURE SHA256.\n"
        path.write_text(head + "".join(p.line() + "\n" for p in packages), encoding="utf-8")
        print(f"{path.relative_to(recipes.ROOT)}: {len(packages)} packages")
        for item in recipe["layer"]:
            if "wheels" not in item:
                continue
            constraints = recipes.ROOT / "python/requirements-ray.txt"
            version = next(line.partition("==")[2] for line in constraints.read_text().splitlines() if line.startswith("ray=="))
            found = wheels.resolve(f"ray[serve]=={version}", constraints)
            path = recipe["folder"] / item["wheels"].format(arch=arch)
            head = "# SPDX-License-Identifier: Apache-2.0\n# Written by make image-lock: what ray[serve] brings, at the versions of python/requirements-ray.txt.\n"
            path.write_text(head + "".join(f"{n}=={v} --hash=sha256:{h}\n" for n, (v, h) in sorted(found.items(), key=lambda i: i[0].lower())), encoding="utf-8")
            print(f"{path.relative_to(recipes.ROOT)}: {len(found)} wheels")


def unpack(o: argparse.Namespace) -> None:
    reader = oci.Reader(Path(o.layout))
    folder = Path(o.dir)
    folder.mkdir(parents=True)
    reader.tree(o.arch).write(folder)
    print(json.dumps(reader.config(o.arch)["config"]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="images", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("build")
    p.add_argument("name")
    p.add_argument("--version", required=True)
    p.add_argument("--revision", default="", help="commit")
    p.add_argument("--source", default=os.environ.get("IMAGE_SOURCE", ""), help="URL of the repository")
    p.add_argument("--epoch", type=int, required=True, help="SOURCE_DATE_EPOCH: every time in the image")
    p.add_argument("--binary", action="append", default=[], metavar="ARCH=FILE")
    p.add_argument("--wheel")
    p.add_argument("--arch", action="append", default=[], help="only this one (repeatable)")
    p.add_argument("--out", default="dist/images")
    p = commands.add_parser("lock")
    p.add_argument("name")
    p = commands.add_parser("unpack")
    p.add_argument("layout")
    p.add_argument("dir")
    p.add_argument("--arch", default="amd64")
    p = commands.add_parser("archive")
    p.add_argument("layout", type=Path)
    p.add_argument("file", type=Path)
    p.add_argument("--epoch", type=int, required=True)
    p = commands.add_parser("wheel")
    p.add_argument("file", type=Path)
    p.add_argument("--epoch", type=int, required=True)
    p = commands.add_parser("show")
    p.add_argument("layouts", nargs="+", type=Path)
    o = parser.parse_args()
    try:
        if o.command == "show":
            show(o.layouts)
        elif o.command == "archive":
            o.file.write_bytes(oci.archive(o.layout, o.epoch))
        elif o.command == "wheel":
            wheels.normalise(o.file, o.epoch)
        else:
            {"build": build, "lock": lock, "unpack": unpack}[o.command](o)
    except (recipes.RecipeError, debian.DebianError, wheels.WheelError, ValueError, OSError) as e:
        for line in str(e).splitlines():
            print(f"images: {line}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
