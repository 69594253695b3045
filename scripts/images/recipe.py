# SPDX-License-Identifier: Apache-2.0
"""From a recipe (platform/images/NAME/image.toml, its locks) and what was built here to the layers of one architecture.

Raises RecipeError for a recipe that is wrong, and for an image that breaks a rule: an ELF file whose libraries are not inside, a
program that the recipe does not name, a secret, a cache.
"""

from __future__ import annotations

import posixpath
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import debian
import elf
import sbom
import scan
import wheels
from tree import MERGED, Entry, Tree, TreeError

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "platform/images"
KEYS = {"name", "debian", "keep", "drop", "wheels", "wheel", "byte_code", "copy", "file", "folder", "link"}
MODEL_LICENCE = "Apache-2.0"


class RecipeError(Exception):
    """What is wrong with the recipe or with the image that it makes, one fault a line."""


@dataclass(frozen=True)
class Inputs:
    """What was built before, for one architecture."""

    version: str
    binary: Path | None = None  # the stripped executable
    wheel: Path | None = None
    build_folder: str = ""  # must not be named by anything in the image


@dataclass
class Built:
    layers: list[tuple[str, Tree]] = field(default_factory=list)
    components: list[sbom.Component] = field(default_factory=list)
    whole: Tree = field(default_factory=Tree)


def load(name: str, recipes: Path = RECIPES) -> dict[str, Any]:
    path = recipes / name / "image.toml"
    if not path.exists():
        raise RecipeError(f"no image '{name}'; there are {', '.join(names(recipes))}")
    recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    for layer in recipe["layer"]:
        unknown = set(layer) - KEYS
        if unknown:
            raise RecipeError(f"{path}: layer {layer.get('name')} has unknown keys {', '.join(sorted(unknown))}")
    recipe["folder"] = path.parent
    return recipe


def names(recipes: Path = RECIPES) -> list[str]:
    return sorted(p.parent.name for p in recipes.glob("*/image.toml"))


def debian_names(recipe: dict[str, Any]) -> list[str]:
    return sorted({n for layer in recipe["layer"] for n in layer.get("debian", [])})


def debian_lock(recipe: dict[str, Any], arch: str) -> Path:
    return recipe["folder"] / f"debian-{arch}.lock"


def build(recipe: dict[str, Any], arch: str, inputs: Inputs, cache: Path) -> Built:
    built = Built()
    byte_code = []
    for layer in recipe["layer"]:
        try:
            tree = _layer(recipe, layer, arch, inputs, cache, built)
            built.whole.merge(tree)
        except (TreeError, debian.DebianError, wheels.WheelError) as e:
            raise RecipeError(f"{recipe['name']}, layer {layer['name']}: {e}") from e
        built.layers.append((layer["name"], tree))
        if layer.get("byte_code"):
            byte_code.append(tree)
    if byte_code:
        try:
            wheels.byte_code(built.whole, byte_code, _linker(built.whole))
        except wheels.WheelError as e:
            raise RecipeError(f"{recipe['name']}: {e}") from e
        for tree in byte_code:
            built.whole.merge(tree)
    faults = check(recipe, built.whole, inputs.build_folder)
    if faults:
        raise RecipeError("\n".join(f"{recipe['name']} ({arch}): {f}" for f in faults))
    return built


def check(recipe: dict[str, Any], whole: Tree, build_folder: str = "") -> list[str]:
    """The rules that every image keeps; one line for each breach."""
    closure = elf.Closure(whole)
    faults = closure.missing() + scan.faults(whole, recipe["programs"], build_folder, recipe.get("not_secrets", []))
    for path in recipe.get("hardened", []):
        faults += closure.hardening(path) if path in closure.elves else [f"{path} is not an ELF file of the image"]
    user = recipe["config"].get("User", "")
    if not user.split(":")[0].isdigit() or user.split(":")[0] == "0":
        faults.append(f"User is '{user}': it must be a number other than 0, which Kubernetes can check to be no root")
    return faults


def _linker(whole: Tree) -> str:
    at = whole.resolve("/lib64/ld-linux-x86-64.so.2")
    if at is None:
        raise RecipeError("byte code needs an interpreter in the image, and there is no /lib64/ld-linux-x86-64.so.2")
    return at


def _layer(recipe: dict[str, Any], layer: dict[str, Any], arch: str, inputs: Inputs, cache: Path, built: Built) -> Tree:
    tree = Tree()
    if layer.get("debian"):
        _debian(recipe, layer, arch, cache, tree, built)
    if layer.get("wheels"):
        lock = recipe["folder"] / layer["wheels"].format(arch=arch)
        for path in wheels.fetch(lock, cache):
            wheel = wheels.unpack(path, tree)
            built.components.append(sbom.pypi(wheel.name, wheel.version, wheel.sha256, wheel.licence))
    if layer.get("wheel"):
        if inputs.wheel is None:
            raise RecipeError(f"{recipe['name']} needs the wheel: scripts/wheel.sh builds it")
        wheel = wheels.unpack(inputs.wheel, tree)
        built.components.append(sbom.pypi(wheel.name, wheel.version, wheel.sha256, wheel.licence))
    tree.prune(layer.get("keep", []), layer.get("drop", []))
    for link in MERGED if layer.get("debian") else ():
        if f"/usr/{link}" in tree.entries:
            tree.add(f"/{link}", Entry("link", 0o777, target=f"usr/{link}", source="the recipe"), replace=True)
    for copy in layer.get("copy", []):
        _copy(recipe, copy, inputs, tree, built)
    for item in layer.get("file", []):
        tree.add(item["path"], Entry("file", item.get("mode", 0o644), item["text"].encode(), source="the recipe"), replace=True)
    for item in layer.get("folder", []):
        tree.add(item["path"], Entry("dir", item["mode"], source="the recipe"), replace=True)
    for item in layer.get("link", []):
        tree.add(item["path"], Entry("link", 0o777, target=item["target"], source="the recipe"), replace=True)
    return tree


def _debian(recipe: dict[str, Any], layer: dict[str, Any], arch: str, cache: Path, tree: Tree, built: Built) -> None:
    archive = debian.Archive(cache, arch)
    locked = {p.name: p for p in debian.read_lock(debian_lock(recipe, arch))}
    missing = sorted(set(layer["debian"]) - set(locked))
    if missing:
        raise RecipeError(f"{debian_lock(recipe, arch).name} lacks {', '.join(missing)}: make image-lock")
    for name in layer["debian"]:
        package = locked[name]
        files, fields = archive.open(package)
        tree.merge(files)
        tree.add(f"/var/lib/dpkg/status.d/{name}", Entry("file", 0o644, debian.status(fields), source=name))
        built.components.append(sbom.debian(name, package.version, package.arch, package.sha256))
    layer["keep"] = [*layer["keep"], "/var/lib/dpkg/status.d/*"]  # load() made this recipe for one build


def _copy(recipe: dict[str, Any], copy: dict[str, Any], inputs: Inputs, tree: Tree, built: Built) -> None:
    if copy["from"] == "{binary}":
        if inputs.binary is None:
            raise RecipeError(f"{recipe['name']} needs the executable, built and stripped: scripts/image.sh does it")
        data = inputs.binary.read_bytes()
        tree.add(copy["to"], Entry("file", copy["mode"], data, source="inferd"))
        built.components.append(sbom.Component("inferd", inputs.version, f"pkg:generic/inferd@{inputs.version}", sbom_sha256(data), "Apache-2.0", "APPLICATION"))
        return
    path = ROOT / copy["from"]
    if path.is_dir():
        tree.add_folder(path, copy["to"], copy["from"])
        weights = path / "model.safetensors"
        if weights.exists():
            name = posixpath.basename(copy["from"])
            digest = sbom_sha256(weights.read_bytes())
            built.components.append(sbom.Component(name, inputs.version, f"pkg:generic/{name}@{digest[:12]}", digest, MODEL_LICENCE, "OTHER"))
    elif path.is_file():
        tree.add(copy["to"], Entry("file", copy.get("mode", 0o644), path.read_bytes(), source=copy["from"]))
    else:
        raise RecipeError(f"{recipe['name']} copies {copy['from']}, which is not there")


def sbom_sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()
