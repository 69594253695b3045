# SPDX-License-Identifier: Apache-2.0
"""Every build of platform/clusters and platform/apps as Flux would make it: kustomize, then the values of cluster-vars and
cluster-settings; and what the children of a stage make of upstream's folders.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from door import ROOT

sys.path.insert(0, str(ROOT / "scripts/platform"))
import fluxcomponents  # noqa: E402

PLATFORM = ROOT / "platform"
LOADER = fluxcomponents.LOADER
# As make flux-vars and settings.yaml give them.
VALUES = {
    "PROJECT_ID": "test-project-1", "REGION": "europe-west4", "ZONE": "europe-west4-b", "CLUSTER": "ray-serve-gke", "GITHUB_OWNER": "octo-org",
    "GITHUB_REPO": "inferd", "GIT_URL": "ssh://git@github.com/octo-org/inferd", "GIT_BRANCH": "main",
    "SOPS_KEY": "projects/test-project-1/locations/europe-west4/keyRings/ring/cryptoKeys/sops",
    "GSA_EMAIL": "ray-serve-gke-flux@test-project-1.iam.gserviceaccount.com",
    "IMAGE_REPOSITORY": "europe-west4-docker.pkg.dev/test-project-1/inferd", "GPU_QUOTA": "1", "DEVICE": "gpu", "ROLLOUT": "in-place",
    "ACCESS": "key", "BACKEND": "ray", "HOST": "inferd.example.com", "ISSUER": "self-signed", "ACME_EMAIL": "nobody@example.com",
}
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)(:?[=-]([^}]*))?\}")


class Missing(Exception):
    """A variable that nothing gives a value: Flux refuses such a build since 2.9."""


def substitute(text: str, values: dict[str, str]) -> str:
    def value(m: re.Match[str]) -> str:
        if values.get(m[1]):
            return values[m[1]]
        if m[2] is not None:
            return m[3]
        raise Missing(m[1])
    return VARIABLE.sub(value, text)


def folders(under: str = "") -> list[str]:
    """Folders that can be built, relative to platform/: those with a kustomization that is not a component."""
    found = []
    for path in sorted((PLATFORM / under).rglob("kustomization.yaml")):
        relative = path.parent.relative_to(PLATFORM).as_posix()
        if relative.split("/")[0] in ("clusters", "apps") and "kind: Component" not in path.read_text(encoding="utf-8"):
            found.append(relative)
    return found


def applied() -> list[str]:
    """Those that a stage applies: a base is part of another."""
    return [f for f in folders() if not f.endswith("/base")]


def components() -> list[str]:
    return sorted(p.parent.relative_to(PLATFORM).as_posix() for p in PLATFORM.rglob("kustomization.yaml")
                  if "kind: Component" in p.read_text(encoding="utf-8"))


@functools.cache
def kustomize() -> str:
    return fluxcomponents.tool("kustomize")


def kustomize_build(folder: Path) -> str:
    done = subprocess.run([kustomize(), "build", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"kustomize build {folder}: {done.stderr}")
    return done.stdout


@functools.cache
def text(folder: str) -> str:
    """What kustomize makes of a folder of platform/."""
    return kustomize_build(PLATFORM / folder)


def objects(folder: str, values: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return [o for o in yaml.load_all(substitute(text(folder), VALUES if values is None else values), Loader=LOADER) if o]


def switched(folder: str, component: str, values: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The objects of a folder with the component on that its kustomization offers in a comment; several are joined by +."""
    path = PLATFORM / folder
    on = (path / "kustomization.yaml").read_text(encoding="utf-8")
    for name in component.split("+"):
        on, count = re.subn(rf"(?m)^  # - (\S+/{name})(?: .*)?$", r"  - \1", on)
        if count != 1:
            raise AssertionError(f"{folder} offers {name} {count} times")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="switched-") as scratch:  # beside it: its paths are relative
        (Path(scratch) / "kustomization.yaml").write_text(on, encoding="utf-8")
        made = kustomize_build(Path(scratch))
    return [o for o in yaml.load_all(substitute(made, VALUES if values is None else values), Loader=LOADER) if o]


def with_components(stage: dict[str, Any], values: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """What a stage of ours applies with the components that it names, as kustomize-controller adds them."""
    folder = PLATFORM / stage["spec"]["path"].removeprefix("./platform/")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="stage-") as scratch:
        there = [c for c in stage["spec"]["components"] if (folder / c).exists() or not stage["spec"].get("ignoreMissingComponents")]
        k = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump({**k, "components": k.get("components", []) + there}), encoding="utf-8")
        made = kustomize_build(Path(scratch))
    return [o for o in yaml.load_all(substitute(made, VALUES if values is None else values), Loader=LOADER) if o]


def by_kind(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {o["metadata"]["name"]: o for o in found if o["kind"] == kind}


def upstream(kustomization: dict[str, Any], repository: Path) -> list[dict[str, Any]]:
    """The objects of a Flux Kustomization whose source is a repository of others, here as a folder: its path built with its
    targetNamespace, images and patches, as kustomize-controller does."""
    spec = kustomization["spec"]
    path = Path(spec["path"].removeprefix("./"))
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        # the part that references of the path stay in: all but its last two folders for config/default, the path itself otherwise
        top = path.parent if path.name == "default" else path
        shutil.copytree(repository / top, tree / top, ignore=shutil.ignore_patterns("*.go", "testdata", "samples", "e2e"))
        for p in [tree, *tree.rglob("*")]:
            p.chmod(0o755 if p.is_dir() else 0o644)
        if not (tree / path / "kustomization.yaml").exists():  # Flux lists the files of a folder that has none
            names = sorted(p.name for p in (tree / path).glob("*.yaml"))
            (tree / path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": names}), encoding="utf-8")
        over = Path(scratch) / "over"
        over.mkdir()
        k: dict[str, Any] = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [f"../tree/{path}"]}
        k |= {"namespace": spec["targetNamespace"]} if "targetNamespace" in spec else {}
        k |= {key: spec[key] for key in ("images", "patches") if key in spec}
        (over / "kustomization.yaml").write_text(yaml.safe_dump(k), encoding="utf-8")
        return [o for o in yaml.load_all(kustomize_build(over), Loader=LOADER) if o]
