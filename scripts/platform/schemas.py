# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas for kubeconform, strict, from the Go modules of platform/modules.lock: Kubernetes' types from its OpenAPI file,
custom resources from their CRDs, GKE's own from platform/tests/schemas, which were written by hand.

Strict means that a field that the schema does not name is refused, in metadata and in pod templates inside custom resources too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from fluxcomponents import LOADER, ROOT, modules

# module -> its folders of CRDs
CRDS = {
    "kuberay": ["config/crd/bases"],
    "source-controller": ["config/crd/bases"],
    "kustomize-controller": ["config/crd/bases"],
    "helm-controller": ["config/crd/bases"],
    "notification-controller": ["config/crd/bases"],
    "gateway-api": ["config/crd/standard"],
    "envoy-gateway": ["charts/gateway-helm/charts/crds/crds/generated"],
    "keda": ["config/crd/bases"],
    "cert-manager": ["deploy/crds"],
    "prometheus-operator": ["example/prometheus-operator-crd"],
}
KUBERNETES = ("1.34", "1.35", "1.36")
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
BY_HAND = ROOT / "platform/tests/schemas"


def file_name(kind: str, group: str, version: str) -> str:
    """As kubeconform's template {{.ResourceKind}}_{{.Group}}_{{.ResourceAPIVersion}} names it; its word for the core group is the version."""
    return f"{kind.lower()}_{group or version}_{version}.json"


def strict(schema: Any) -> Any:
    """Kubernetes' structural schema as JSON Schema that refuses unknown fields."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "definitions"):
            out[key] = {k: strict(v) for k, v in value.items()}
        elif key in ("items", "additionalProperties", "not"):
            out[key] = strict(value)
        elif key in ("allOf", "anyOf", "oneOf"):
            # they only constrain: their own properties must not close the object around them
            out[key] = value
        elif key not in ("description", "example", "externalDocs", "default") and not key.startswith("x-kubernetes-"):
            out[key] = value
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        for key in ("type", "format", "pattern", "anyOf"):
            out.pop(key, None)
        out["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if "properties" in schema and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out["additionalProperties"] = False
    if schema.get("nullable"):
        out.pop("nullable", None)
        if isinstance(out.get("type"), str):
            out["type"] = [out["type"], "null"]
    out.pop("format", None)
    return out


def closure(definitions: dict[str, Any], name: str) -> dict[str, Any]:
    """The definitions that one needs, itself included."""
    found: dict[str, Any] = {}
    todo = [name]
    while todo:
        n = todo.pop()
        if n in found:
            continue
        found[n] = definitions[n]
        todo += [ref.removeprefix("#/definitions/") for ref in refs(definitions[n])]
    return found


def refs(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [r for v in schema.values() for r in refs(v)]
    return [r for v in schema for r in refs(v)] if isinstance(schema, list) else []


def of_kubernetes(swagger: Path, into: Path) -> dict[str, Any]:
    """Writes a schema for every kind; returns the definitions."""
    raw = json.loads(swagger.read_text(encoding="utf-8"))["definitions"]
    kinds = {name: d["x-kubernetes-group-version-kind"] for name, d in raw.items() if "x-kubernetes-group-version-kind" in d}
    definitions = {name: strict(d) for name, d in raw.items()}
    # written as a number or as text, whatever OpenAPI's word for it is
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"anyOf": [{"type": "string"}, {"type": "number"}]}
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    for name, gvks in kinds.items():
        if len(gvks) != 1:  # Status, DeleteOptions and the like
            continue
        g = gvks[0]
        schema = {"definitions": closure(definitions, name), "allOf": [{"$ref": f"#/definitions/{name}"}], "required": ["apiVersion", "kind", "metadata"]}
        (into / file_name(g["kind"], g["group"], g["version"])).write_text(json.dumps(schema), encoding="utf-8")
    return definitions


def of_crds(folders: list[Path], into: Path, definitions: dict[str, Any]) -> int:
    """Writes a schema for every served version; metadata is Kubernetes' own."""
    count, meta = 0, closure(definitions, META)
    for path in sorted(p for folder in folders for p in folder.glob("*.yaml")):
        for crd in yaml.load_all(path.read_text(encoding="utf-8"), Loader=LOADER):
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                if not version["served"]:
                    continue
                schema = strict(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"$ref": f"#/definitions/{META}"}}
                schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind", "metadata"})
                schema["additionalProperties"] = False
                schema["definitions"] = meta
                (into / file_name(spec["names"]["kind"], spec["group"], version["name"])).write_text(json.dumps(schema), encoding="utf-8")
                count += 1
    return count


def of_hand(into: Path) -> None:
    for path in BY_HAND.glob("*.json"):
        shutil.copy(path, into / path.name)


def prepare() -> Path:
    """The folder of schemas, made once for each state of the lock, this file and the hand-written ones; a folder a Kubernetes minor."""
    state = hashlib.sha256()
    for path in [ROOT / "platform/modules.lock", Path(__file__), *sorted(BY_HAND.glob("*.json"))]:
        state.update(path.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferd/schemas"
    folder = base / state.hexdigest()[:16]
    if folder.exists():
        return folder
    dirs = modules(*CRDS, *(f"kubernetes-{v}" for v in KUBERNETES))
    scratch = folder.with_name(f"{folder.name}.{os.getpid()}")
    for version in KUBERNETES:
        into = scratch / version
        into.mkdir(parents=True)
        definitions = of_kubernetes(dirs[f"kubernetes-{version}"] / "api/openapi-spec/swagger.json", into)
        of_crds([dirs[m] / f for m, folders in CRDS.items() for f in folders], into, definitions)
        of_hand(into)
    base.mkdir(parents=True, exist_ok=True)
    try:
        scratch.rename(folder)
    except OSError:  # another run was first
        shutil.rmtree(scratch)
    return folder


if __name__ == "__main__":
    print(prepare())
