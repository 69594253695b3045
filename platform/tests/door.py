# SPDX-License-Identifier: Apache-2.0
"""A copy of the front door in a folder of its own, with fake tools on PATH: for the tests of its verbs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS = ("gcloud", "terraform", "kubectl", "flux", "sops", "ssh-keygen", "gke-gcloud-auth-plugin", "age-keygen", "k6", "helm")
SYSTEM = ("bash", "sh", "git", "env", "cat", "dirname", "make", "awk", "nproc", "cmp", "mkdir", "id", "cp")
PATIENCE_S = 300  # a busy machine may stand still for minutes

GOOD = {
    "PROJECT_ID": "test-project-1", "REGION": "europe-west4", "ZONE": "europe-west4-b", "CLUSTER": "ray-serve-gke",
    "TF_BACKEND_BUCKET": "test-project-1-tfstate", "KMS_KEY_RING": "ring", "KMS_CRYPTO_KEY": "sops",
    "GITHUB_OWNER": "octo-org", "GITHUB_REPO": "inferd", "GITHUB_BRANCH": "main",
}
KEY = "projects/test-project-1/locations/europe-west4/keyRings/ring/cryptoKeys/sops"


class Door(unittest.TestCase):
    """`self.verb(NAME)` runs a verb; `self.calls` is then what it called, one list of words a call."""

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="door-"))
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.root, self.bin = self.dir / "tree", self.dir / "bin"
        for folder in ("platform/infra", "platform/infra-bootstrap", "platform/flux", "platform/sops"):
            (self.root / folder).mkdir(parents=True)
        for name in ("platform/flux/known_hosts", "platform/sops/sops.yaml.tmpl", "platform/prices.json", ".env.example"):
            shutil.copy(ROOT / name, self.root / name)
        self.bin.mkdir()
        self.have(*TOOLS)
        (self.bin / "python3").symlink_to(Path(sys.executable).resolve())
        for tool in SYSTEM:
            found = shutil.which(tool)
            if found:
                (self.bin / tool).symlink_to(found)
        self.log, self.answers = self.dir / "log", self.dir / "answers.json"
        self.answer()
        self.env(**GOOD)

    def have(self, *tools: str):
        for tool in tools:
            (self.bin / tool).symlink_to(HERE / "fake" / "tool.py")

    def lack(self, *tools: str):
        for tool in tools:
            (self.bin / tool).unlink()

    def answer(self, *rules: dict):
        self.answers.write_text(json.dumps(list(rules)), encoding="utf-8")

    def env(self, **entries: str):
        (self.root / ".env").write_text("".join(f"{k}={v}\n" for k, v in entries.items()), encoding="utf-8")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def verb(self, name: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess:
        self.log.write_text("", encoding="utf-8")
        clean = {"PATH": str(self.bin), "HOME": str(self.dir), "FAKE_LOG": str(self.log), "FAKE_ANSWERS": str(self.answers),
                 "INFERD_ROOT": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", **environ}
        done = subprocess.run([sys.executable, str(ROOT / "scripts" / "platform"), name], env=clean, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, code, f"{name}: {done.stdout}\n{done.stderr}")
        return done

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    @property
    def calls(self) -> list[str]:
        return [" ".join(r["argv"]) for r in self.records]


def bucket(location: str = "EUROPE-WEST4") -> dict:
    return {"match": "gcloud storage buckets describe", "stdout": json.dumps({"name": GOOD["TF_BACKEND_BUCKET"], "location": location})}


def absent(what: str) -> dict:
    return {"match": what, "code": 1, "stderr": "ERROR: (gcloud) NOT_FOUND: it was not found"}


