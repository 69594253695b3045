# SPDX-License-Identifier: Apache-2.0
"""Flux's own manifests, platform/clusters/prod/flux-system/gotk-components.yaml, as `flux install --export` makes them: from the
folders of Flux's modules (platform/modules.lock), by kustomize.

    python scripts/platform/fluxcomponents.py [--check]

Differences from Flux's: no image-* controllers and no source-watcher; descriptions left out of the CRDs; the versions are those
of the lock. `flux bootstrap` overwrites the file with its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGET = "platform/clusters/prod/flux-system/gotk-components.yaml"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller", "notification-controller")


class LOADER(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as Kubernetes reads it: a bare `=` (an enum of prometheus-operator's) is text."""


LOADER.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def modules(*names: str) -> dict[str, Path]:
    """Folder of each module of the lock, downloaded and its hash checked."""
    out = subprocess.run([str(ROOT / "scripts/modules.sh"), *names], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: Path(folder) for name, folder in (line.split(" ", 1) for line in out.splitlines())}


def tool(name: str) -> str:
    subprocess.run([str(ROOT / "scripts/tools.sh"), name], check=True, stdout=sys.stderr)
    return subprocess.run([str(ROOT / "scripts/tools.sh"), "--path"], check=True, capture_output=True, text=True).stdout.strip() + f"/{name}"


def build(kustomize: str, folder: Path) -> list[dict[str, Any]]:
    out = subprocess.run([kustomize, "build", str(folder)], check=True, capture_output=True, text=True).stdout
    return [d for d in yaml.load_all(out, Loader=LOADER) if d]


def without_descriptions(schema: Any, is_properties: bool = False) -> Any:
    """A CRD's schema without its texts: a property that is called description stays."""
    if isinstance(schema, dict):
        return {k: without_descriptions(v, k == "properties" and not is_properties) for k, v in schema.items()
                if is_properties or k != "description" or not isinstance(v, str)}
    if isinstance(schema, list):
        return [without_descriptions(v) for v in schema]
    return schema


def overlay(folder: Path, flux: Path, dirs: dict[str, Path]) -> Path:
    """Flux's `install` overlay with the controllers' folders in place of the addresses that it downloads from."""
    shutil.copytree(flux / "manifests", folder / "manifests")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in CONTROLLERS:
        into = folder / "controllers" / name
        shutil.copytree(dirs[name] / "config/crd", into / "crd")
        shutil.copytree(dirs[name] / "config/manager", into / "manager")
        base = folder / "manifests/bases" / name / "kustomization.yaml"
        base.chmod(0o644)
        k = yaml.load(base.read_text(encoding="utf-8"), Loader=LOADER)
        k["resources"] = [f"../../../controllers/{name}/crd", f"../../../controllers/{name}/manager",
                          *(r for r in k["resources"] if not r.startswith("https://"))]
        base.write_text(yaml.safe_dump(k), encoding="utf-8")
    install = folder / "manifests/install/kustomization.yaml"
    k = yaml.load(install.read_text(encoding="utf-8"), Loader=LOADER)
    k["resources"] = [r for r in k["resources"] if not r.startswith("../bases/") or r.removeprefix("../bases/") in CONTROLLERS]
    install.write_text(yaml.safe_dump(k), encoding="utf-8")
    return install.parent


def text() -> str:
    dirs = modules("flux", *CONTROLLERS)
    versions = {line.split()[0]: line.split()[2] for line in (ROOT / "platform/modules.lock").read_text(encoding="utf-8").splitlines()
                if line and not line.startswith("#")}
    with tempfile.TemporaryDirectory() as scratch:
        objects = build(tool("kustomize"), overlay(Path(scratch), dirs["flux"], dirs))
    for o in objects:
        o["metadata"].setdefault("labels", {})["app.kubernetes.io/version"] = versions["flux"]
        if o["kind"] == "CustomResourceDefinition":
            o["spec"] = without_descriptions(o["spec"])
    head = ("# Written by scripts/platform/fluxcomponents.py from Flux's modules: " + ", ".join(f"{n} {versions[n]}" for n in ("flux", *CONTROLLERS))
            + ".\n# Apache-2.0, by the Flux authors.\n")
    return head + "".join("---\n" + yaml.dump(o, Dumper=DUMPER, sort_keys=True, width=160) for o in objects)


def stale(committed: str) -> bool:
    """Is it other than the modules give? Digests, which `make pin-digests` adds to the images' tags, are not a difference."""
    return re.sub(r"@sha256:[0-9a-f]{64}", "", committed) != text()


def main() -> int:
    path = ROOT / TARGET
    if sys.argv[1:] == ["--check"]:
        same = path.exists() and not stale(path.read_text(encoding="utf-8"))
        print(f"fluxcomponents: {TARGET} is {'what the modules give' if same else 'not what the modules give; run scripts/platform/fluxcomponents.py'}")
        return 0 if same else 1
    path.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
