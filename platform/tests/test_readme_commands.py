# SPDX-License-Identifier: Apache-2.0
"""Walks the showcase's command list: each line, typed at our root, reaches its verb and does its commands.

The tools are fakes; what they were asked is checked against what each step must ask. Make, the scripts and the verbs are
the real ones, in a copy of the tree.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import unittest

from door import GOOD, HERE, ROOT, Door, absent

sys.path.insert(0, str(ROOT / "scripts/platform"))
import smoke  # noqa: E402

LIST = HERE / "readme-commands.txt"
# What a step must have asked of a tool, as a regular expression over the calls it made.
MUST_CALL = {
    "bootstrap-init": r"terraform -chdir=platform/infra-bootstrap init", "bootstrap-plan": r"infra-bootstrap plan .*-var=kms_key_ring=ring",
    "bootstrap-apply": r"infra-bootstrap apply -input=false bootstrap.tfplan", "init": r"platform/infra init .*bucket=test-project-1-tfstate",
    "plan-save": r"platform/infra plan .*-out=infra.tfplan .*-var=cluster_name=ray-serve-gke", "apply-plan": r"platform/infra apply .*infra.tfplan",
    "creds": r"get-credentials ray-serve-gke", "terraform-destroy": r"platform/infra destroy", "destroy": r"platform/infra destroy", "plan": r"platform/infra plan",
    "flux-bootstrap": r"flux bootstrap github --owner=octo-org", "flux-vars": r"kubectl apply", "flux-reconcile": r"flux reconcile source git",
    "flux-keygen": r"ssh-keygen .*ed25519|^$", "flux-up": r"flux reconcile kustomization", "flux-git-secret-ssh": r"kubectl apply", "flux-apply": r"kubectl kustomize",
    "smoke-external": r"k6 run .*INFER_URL=https://classify.example.org/infer .*k6/smoke.js", "k6-config": r"kubectl -n ray apply -f k6/k6-config.yaml",
    "smoke-internal": r"(?s)kubectl .*apply -f k6/k6-job.yaml.*logs job/k6-smoke",
    "flux-wait": r"kubectl .* wait kustomizations", "sops-init": r"^$", "sops-verify": r"^$", "sops-encrypt": r"sops encrypt --in-place",
}


def steps() -> list[tuple[str, str, str]]:
    """(command of the showcase, ours, why they differ); ours is the same and why empty where the command works."""
    found = []
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        kind, _, rest = line.partition(" ")
        if kind == "ok":
            found.append((rest, rest, ""))
            continue
        m = re.fullmatch(r"(.+?) => (.+?) : (.{5,})", rest)
        if kind != "instead" or not m:
            raise ValueError(f"{LIST.name}: neither 'ok COMMAND' nor 'instead COMMAND => OURS : WHY': {line}")
        found.append(m.groups())
    return found


class Walk(Door):
    def setUp(self):
        super().setUp()
        for name in ("Makefile", "platform/platform.mk", "platform/requirements.txt"):
            self.write(name, (ROOT / name).read_text())
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "k6", self.root / "k6", ignore=shutil.ignore_patterns("results", "k6-config.yaml"))
        # The environment with PyYAML is made already: it is the one that runs this.
        venv = self.write("scripts/venv.sh", f"#!/bin/sh\necho {sys.executable}\n")
        venv.chmod(0o755)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.write("platform/clusters/prod/flux-system/kustomization.yaml", "")
        self.key = self.dir / ".config/inferd/flux-octo-org-inferd"
        outputs = {name: {"value": "x"} for name in ("gsa_email", "image_repository", "rollout")} | {"gpu_quota": {"value": 0}, "cluster_name": {"value": "ray-serve-gke"}}
        flux = "apiVersion: v1\nkind: Namespace\n---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n"
        self.secret = "platform/apps/monitoring/grafana.secret.yaml"
        boot, infra = self.root / "platform/infra-bootstrap/bootstrap.tfplan", self.root / "platform/infra/infra.tfplan"
        self.answer({"match": "terraform .*output -json", "stdout": json.dumps(outputs)}, {"match": "show -json", "stdout": "{}"},
                    {"match": "infra-bootstrap plan .*-out", "write": {str(boot): ""}}, {"match": "platform/infra plan .*-out", "write": {str(infra): ""}},
                    {"match": "state pull", "stdout": "{}"}, {"match": "kubectl kustomize", "stdout": flux},
                    {"match": "get gateway inferd", "stdout": '{"spec": {"listeners": [{"protocol": "HTTPS", "hostname": "classify.example.org"}]}}'},
                    {"match": "get job k6-smoke", "stdout": '{"status": {"conditions": [{"type": "Complete", "status": "True"}]}}'},
                    {"match": "logs job/k6-smoke", "stdout": f'{smoke.BEGIN}\n{{"metrics": {{}}}}\n{smoke.END}\n'}, {"match": "envsubst", "echo": True},
                    {"match": "ssh-keygen", "write": {str(self.key): "K", f"{self.key}.pub": "P"}},
                    {"match": "sops encrypt", "write": {str(self.root / self.secret): "kind: Secret\n"}}, absent("describe"))
        self.key.parent.mkdir(parents=True)

    def type(self, command: str) -> subprocess.CompletedProcess:
        self.log.write_text("", encoding="utf-8")
        command = command.replace("<your-tf-state-bucket>", GOOD["TF_BACKEND_BUCKET"]).replace("<REGION>", GOOD["REGION"])
        clean = {"PATH": str(self.bin), "HOME": str(self.dir), "FAKE_LOG": str(self.log), "FAKE_ANSWERS": str(self.answers), "GITHUB_TOKEN": "t",
                 "CONFIRM": GOOD["CLUSTER"], "PYTHONDONTWRITEBYTECODE": "1", "PROJECT_ID": GOOD["PROJECT_ID"], "REGION": GOOD["REGION"]}
        return subprocess.run(["bash", "-c", command], cwd=self.root, env=clean, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=300, check=False)

    def test_the_whole_list_in_its_order(self):
        walked = 0
        for theirs, ours, why in steps():
            if theirs.startswith("./scripts/"):
                self.assertTrue((ROOT / theirs).is_file(), theirs)  # what it does is test_admin_tools.py's
                walked += 1
                continue
            if why and theirs.startswith("make"):
                self.write(self.secret, "kind: Secret\nmetadata: {name: x}\nstringData: {a: b}\n")
                self.assertNotEqual(self.type(theirs).returncode, 0, f"{theirs} works as it stands, so it needs no replacement")
            done = self.type(ours)
            self.assertEqual(done.returncode, 0, f"{ours}: {done.stdout}\n{done.stderr}")
            if ours == "cp .env.example .env":
                self.env(**GOOD)
            if ours.startswith("make"):
                if self.key.exists():
                    self.key.chmod(0o600)
                target = ours.split()[1]
                self.assertRegex("\n".join(self.calls), MUST_CALL[target], ours)
            if why and self.secret in ours:
                (self.root / self.secret).unlink()
            walked += 1
        self.assertEqual(walked, len(steps()))
        self.assertGreaterEqual(walked, 35)

    def test_a_target_that_does_not_exist_is_noticed(self):
        self.assertNotEqual(self.type("make flux-wiat").returncode, 0)

    def test_help_lists_every_target(self):
        text = self.type("make help").stdout
        for target in MUST_CALL:
            if target != "destroy":
                self.assertRegex(text, rf"(?m)^  make {target} ", target)


if __name__ == "__main__":
    unittest.main()
