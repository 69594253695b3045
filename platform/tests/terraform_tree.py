# SPDX-License-Identifier: Apache-2.0
"""A copy of the Terraform roots, initialised with a provider built from its Go module: for tests that change things.

INFERD_TOOLS_BIN is the folder of terraform-provider-google. Where the registry can be reached nothing of this is needed:
`terraform init && terraform test` in a root does the same.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from door import ROOT

BIN = Path(os.environ.get("INFERD_TOOLS_BIN") or Path.home() / ".cache/inferd/tools/bin")
PROVIDER_VERSION = "8.0.0"
ROOTS = ("infra-bootstrap", "infra")


class Tree:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="terraform-"))
        arch = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        mirror = self.dir / f"mirror/registry.terraform.io/hashicorp/google/{PROVIDER_VERSION}/linux_{arch}"
        mirror.mkdir(parents=True)
        (mirror / f"terraform-provider-google_v{PROVIDER_VERSION}_x5").symlink_to(BIN / "terraform-provider-google")
        (self.dir / "rc").write_text(f'disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = "{self.dir}/mirror"\n  }}\n}}\n')
        for name in (*ROOTS, "modules"):
            shutil.copytree(ROOT / "platform" / name, self.dir / name,
                            ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfplan", "*_override.tf", "*.auto.tfvars.json"))

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, root: str, *argv: str, **environ: str) -> subprocess.CompletedProcess:
        env = {**os.environ, "TF_CLI_CONFIG_FILE": str(self.dir / "rc"), "TF_IN_AUTOMATION": "1", **environ}
        return subprocess.run(["terraform", f"-chdir={self.dir / root}", *argv], env=env, capture_output=True, text=True, check=False)

    def init(self, root: str, *argv: str):
        done = self.run(root, "init", "-input=false", "-no-color", *(argv or ("-backend=false",)))
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)

    def test(self, root: str, *argv: str) -> list[dict]:
        """`terraform test` of a root: its messages."""
        done = self.run(root, "test", "-json", *argv)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def runs(messages: list[dict]) -> dict[str, str]:
    """file/run -> pass, fail, error or skip."""
    return {f"{m['test_run']['path']}/{m['test_run']['run']}": m["test_run"]["status"] for m in messages
            if m["type"] == "test_run" and m["test_run"].get("progress", "complete") == "complete" and m["test_run"].get("status")}
