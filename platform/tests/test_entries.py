# SPDX-License-Identifier: Apache-2.0
"""The entries of .env: missing, malformed, old names; and that Terraform refuses the same values."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest

from door import GOOD, ROOT, Door

sys.path.insert(0, str(ROOT / "scripts" / "platform"))
from envfile import ENTRIES, EnvError, parse  # noqa: E402

MALFORMED = {
    "PROJECT_ID": "123456", "REGION": "europe-west4-b", "ZONE": "europe-west4", "CLUSTER": "Ray", "TF_BACKEND_BUCKET": "gs://bucket",
    "KMS_KEY_RING": "a/b", "KMS_CRYPTO_KEY": "a/b", "GITHUB_OWNER": "octo/org", "GITHUB_REPO": "https://github.com/o/r", "GITHUB_BRANCH": "a..b",
    "GITHUB_OWNER_KIND": "org", "GPU_QUOTA": "one", "GPU_CAPACITY": "cheap", "AGE_RECIPIENT": "age1short",
}


class Entries(Door):
    def test_a_good_file(self):
        done = self.verb("env-check")
        self.assertIn(f"{len(ENTRIES)} entries are well formed", done.stdout)
        for name, value in GOOD.items():
            self.assertRegex(done.stdout, rf"{name} +{re.escape(value)} +\.env ")

    def test_without_a_file_every_required_entry_is_named_with_its_use(self):
        (self.root / ".env").unlink()
        done = self.verb("env-check", code=1)
        self.assertIn("cp .env.example .env", done.stdout)
        for entry in ENTRIES.values():
            self.assertEqual(f"{entry.name} is missing" in done.stderr, entry.default is None, entry.name)
            if entry.default is None:
                self.assertIn(entry.used, done.stderr)

    def test_each_missing_entry(self):
        for name in (e.name for e in ENTRIES.values() if e.default is None):
            self.env(**{k: v for k, v in GOOD.items() if k != name})
            self.assertIn(f"{name} is missing", self.verb("env-check", code=1).stderr)

    def test_each_malformed_entry(self):
        self.assertEqual(set(MALFORMED), set(ENTRIES))
        for name, value in MALFORMED.items():
            self.env(**{**GOOD, name: value})
            self.assertIn(f"{name}='{value}' is malformed", self.verb("env-check", code=1).stderr)

    def test_a_zone_of_another_region(self):
        self.env(**{**GOOD, "ZONE": "us-central1-a"})
        self.assertIn("is not in REGION='europe-west4'", self.verb("env-check", code=1).stderr)

    def test_old_names_are_taken_with_a_warning(self):
        old = {k: v for k, v in GOOD.items() if not k.startswith("GITHUB_")}
        self.env(**old, GH_OWNER="octo-org", GH_REPO="inferd", GH_BRANCH="main")
        done = self.verb("env-check")
        for name in ("OWNER", "REPO", "BRANCH"):
            self.assertIn(f"GH_{name} is the old name of GITHUB_{name}", done.stderr)
        self.env(**GOOD, GH_OWNER="someone-else")
        self.assertIn("GH_OWNER and GITHUB_OWNER differ", self.verb("env-check", code=1).stderr)

    def test_an_entry_that_nothing_reads(self):
        self.env(**GOOD, CLUSTER_NAME="x")
        self.assertIn("CLUSTER_NAME is not an entry", self.verb("env-check").stderr)

    def test_the_file_is_not_run(self):
        for line in ("CLUSTER=$(touch x)", "CLUSTER=`touch x`", "CLUSTER=a; touch x", 'CLUSTER="$HOME"', "export CLUSTER", "CLUSTER = a"):
            with self.assertRaises(EnvError, msg=line):
                parse(line, ".env")
        self.assertEqual(parse("export A='b c'  # d\nB=\"e\"\n\n# f\nC=\n", ".env"), {"A": "b c", "B": "e", "C": ""})
        with self.assertRaisesRegex(EnvError, ".env:2: A is set twice"):
            parse("A=1\nA=2\n", ".env")

    def test_the_example_lists_every_entry_and_no_more(self):
        self.assertEqual(set(parse((ROOT / ".env.example").read_text(), ".env.example")), set(ENTRIES))

    def test_terraform_has_the_same_patterns(self):
        """A value that env-check lets through must not be what Terraform refuses minutes later."""
        patterns = {}
        for name in ("infra/variables.tf", "infra-bootstrap/variables.tf"):
            text = (ROOT / "platform" / name).read_text()
            for variable, pattern in re.findall(r'variable "(\w+)" \{.*?regex\("\^(.*?)\$"', text, re.S):
                patterns.setdefault(variable, pattern)
        pairs = {"project_id": "PROJECT_ID", "region": "REGION", "cluster_name": "CLUSTER", "kms_key_ring": "KMS_KEY_RING", "kms_crypto_key": "KMS_CRYPTO_KEY"}
        for variable, name in pairs.items():
            self.assertEqual(patterns[variable], ENTRIES[name].pattern, name)
        self.assertEqual("(?!goog)" + patterns["state_bucket"], ENTRIES["TF_BACKEND_BUCKET"].pattern)


class EveryVerb(Door):
    """Each verb, without its entries, without its tools, and with DRY_RUN=1."""

    NEEDS = {
        "bootstrap-init": ("gcloud", "terraform"), "bootstrap-plan": ("gcloud", "terraform"), "bootstrap-apply": ("gcloud", "terraform"),
        "init": ("terraform",), "plan": ("terraform",), "plan-save": ("terraform",), "apply-plan": ("terraform",),
        "creds": ("gcloud", "kubectl", "gke-gcloud-auth-plugin"), "terraform-destroy": ("terraform",), "flux-bootstrap": ("flux", "kubectl"),
        "flux-vars": ("terraform", "kubectl"), "flux-reconcile": ("flux",), "flux-keygen": ("ssh-keygen",), "flux-git-secret-ssh": ("kubectl",),
        "flux-apply": ("kubectl", "flux"), "flux-wait": ("kubectl", "flux"), "flux-up": ("kubectl",),
        "sops-init": (), "sops-verify": (), "sops-encrypt": ("sops",), "sops-edit": ("sops",), "sops-stale": (), "sops-rotate": ("sops",),
        "grafana-secret": ("sops",),
    }
    NO_ENTRIES = {"flux-reconcile", "flux-wait", "sops-verify", "sops-encrypt", "sops-edit", "sops-stale", "sops-rotate", "grafana-secret"}

    def test_the_table_is_whole(self):
        listed = subprocess.run([sys.executable, str(ROOT / "scripts/platform")], capture_output=True, text=True, check=False)
        self.assertEqual(listed.returncode, 2)
        self.assertEqual({"env-check", *self.NEEDS}, set(re.sub(r".*There are ", "", listed.stderr).strip().split(", ")))
        make = (ROOT / "platform/platform.mk").read_text()
        for verb in self.NEEDS:
            self.assertRegex(make, rf"(?m)^{verb}: ## \S")

    def test_missing_entries(self):
        self.env()
        for verb in sorted(set(self.NEEDS) - self.NO_ENTRIES):
            done = self.verb(verb, code=1)
            self.assertRegex(done.stderr, rf"{verb}: [A-Z_]+ is missing; set it in \.env, e\.g\. ", verb)
            self.assertEqual(self.calls, [], verb)

    def test_missing_tools(self):
        for tool in sorted({t for tools in self.NEEDS.values() for t in tools}):
            self.lack(tool)
            for verb in sorted(v for v, tools in self.NEEDS.items() if tool in tools):
                self.assertIn(f"{tool} is not on PATH; scripts/install_admin_tools.sh installs it", self.verb(verb, code=1, FILE=".env").stderr, verb)
            self.have(tool)

    def test_dry_run_runs_nothing(self):
        self.write("platform/clusters/prod/flux-system/kustomization.yaml", "")
        self.write("platform/x.secret.yaml", "kind: Secret\nstringData: {a: b}\n")
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        before = sorted(p for p in self.root.rglob("*") if ".git/" not in str(p))
        for verb in sorted(self.NEEDS):
            done = self.verb(verb, DRY_RUN="1", FILE="platform/x.secret.yaml")
            self.assertEqual(self.calls, [], verb)
            self.assertRegex(done.stdout, r"would (run|ask|write|read)|no encrypted files", verb)
        self.assertEqual(sorted(p for p in self.root.rglob("*") if ".git/" not in str(p)), before)

    def test_an_unknown_verb(self):
        self.assertIn("which verb?", self.verb("flux-everything", code=2).stderr)


if __name__ == "__main__":
    unittest.main()
