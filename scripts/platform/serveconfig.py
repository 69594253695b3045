# SPDX-License-Identifier: Apache-2.0
"""serveConfigV2 of the RayService, from python/inferd/serve_config.yaml and what differs between places.

    python scripts/platform/serveconfig.py            # write the components of platform/apps/ray/serve
    python scripts/platform/serveconfig.py --check    # exit 1 when one of them is not what would be written

The field is a string in YAML, so no patch can change a value inside it; and neither kustomize nor Flux reads a file from
outside the folder that it builds. So each variant is written whole, and a test compares.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "python/inferd/serve_config.yaml"
INTO = "platform/apps/ray/serve"

# name -> why, changes of the application's args, changes of the deployment Classifier
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "cpu": ("Two replicas at least, so that one node's end is no outage.",
            {"device": "cpu", "min_replicas": 2, "max_replicas": 8}, {}),
    "gpu": ("A GPU each.", {"device": "gpu", "min_replicas": 1, "max_replicas": 4}, {}),
    "gpu-shared": ("One GPU: half of it for each replica, so that a replacement starts beside what it replaces.",
                   {"device": "gpu", "min_replicas": 1, "max_replicas": 1},
                   {"ray_actor_options": {"num_cpus": 1, "num_gpus": 0.5}, "max_surge_percent": 100, "rolling_update_percentage": 1.0}),
    "local": ("One small node.", {"device": "cpu", "min_replicas": 1, "max_replicas": 2}, {}),
}


def config(source: str, name: str) -> dict[str, Any]:
    """The configuration of one variant, from the text of the one file."""
    _, args, deployment = VARIANTS[name]
    c: dict[str, Any] = copy.deepcopy(yaml.safe_load(source))
    (application,) = c["applications"]
    application["args"].update(args)
    (classifier,) = application["deployments"]
    classifier.update(deployment)
    return c


def files(source: str) -> dict[str, str]:
    """Path below INTO -> content, for every variant."""
    out = {}
    for name, (why, _, _) in VARIANTS.items():
        body = yaml.safe_dump(config(source, name), sort_keys=False, default_flow_style=False)
        out[f"{name}/kustomization.yaml"] = (
            "# SPDX-License-Identifier: Apache-2.0\n"
            f"# {why}\n"
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n  - path: rayservice.yaml\n")
        out[f"{name}/rayservice.yaml"] = (
            "# SPDX-License-Identifier: Apache-2.0\n"
            f"# Written by scripts/platform/serveconfig.py from {SOURCE}: change that, not this.\n"
            "apiVersion: ray.io/v1\nkind: RayService\nmetadata:\n  name: inferd\nspec:\n  serveConfigV2: |\n"
            + "".join(f"    {line}\n" for line in body.splitlines()))
    return out


def drift(root: Path = ROOT) -> list[str]:
    """What differs from what would be written, one line each."""
    wanted = files((root / SOURCE).read_text(encoding="utf-8"))
    found = {p.relative_to(root / INTO).as_posix() for p in (root / INTO).rglob("*") if p.is_file()}
    said = [f"{INTO}/{name}: nothing writes it" for name in sorted(found - set(wanted))]
    for name, text in wanted.items():
        path = root / INTO / name
        if not path.exists():
            said.append(f"{INTO}/{name}: is missing")
        elif path.read_text(encoding="utf-8") != text:
            said.append(f"{INTO}/{name}: is not what {SOURCE} gives; run scripts/platform/serveconfig.py")
    return said


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        said = drift()
        print("\n".join(said) or f"serveconfig: {len(VARIANTS)} variants are {SOURCE} and their differences")
        return 1 if said else 0
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    for name, text in files((ROOT / SOURCE).read_text(encoding="utf-8")).items():
        path = ROOT / INTO / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
