# SPDX-License-Identifier: Apache-2.0
"""What the repository must not carry, and what it must: the showcase's faults of this kind, each with its guard."""

from __future__ import annotations

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from door import ROOT

PUBLISHED = {  # GitHub's documentation, "GitHub's SSH key fingerprints"
    "ED25519": "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", "ECDSA": "SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
    "RSA": "SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
}


def ignored(path: str) -> bool:
    return subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", "--no-index", path], check=False).returncode == 0


class Repository(unittest.TestCase):
    def test_known_hosts_are_githubs(self):
        out = subprocess.run(["ssh-keygen", "-lf", str(ROOT / "platform/flux/known_hosts")], capture_output=True, text=True, check=True).stdout
        self.assertEqual({line.split()[3].strip("()"): line.split()[1] for line in out.splitlines()}, PUBLISHED)

    def test_git_ignores_secrets_and_state_and_nothing_that_a_fork_needs(self):
        for path in (".env", "platform/infra/.terraform/x", "platform/infra/terraform.tfstate", "platform/infra-bootstrap/terraform.tfstate.backup",
                     "platform/infra/infra.tfplan", "platform/infra-bootstrap/adopt.auto.tfvars.json", "platform/infra-bootstrap/backend_override.tf"):
            self.assertTrue(ignored(path), path)
        for path in (".sops.yaml", ".env.example", "platform/infra/.terraform.lock.hcl", "platform/infra/terraform.tfvars", "platform/sops/acknowledged.txt"):
            self.assertFalse(ignored(path), path)

    def test_tools_are_locked_by_version_and_hash(self):
        lines = [line.split() for line in (ROOT / "platform/tools.lock").read_text().splitlines() if line and not line.startswith("#")]
        for line in lines:
            self.assertEqual(len(line), 5, line)
            self.assertRegex(line[2], r"^v?\d+\.\d+\.\d+", line)
            self.assertRegex(line[4], r"^-$" if line[1] == "pypi" else r"^h1:[A-Za-z0-9+/]{43}=$", line)
        self.assertGreaterEqual({line[0] for line in lines}, {"sops", "age", "k6", "kustomize", "kubeconform", "conftest", "terraform-provider-google"})

    def build_age(self, module_hash: str) -> tuple[int, str, bool]:
        """Exit code and messages of a build of age by a stand-in of Go that answers that hash, and whether it was built."""
        with tempfile.TemporaryDirectory() as folder:
            go = Path(folder) / "go"
            go.write_text('#!/bin/sh\ncase "$1 $2" in\n"env GOVERSION") echo go1.27.3 ;;\n'
                          f"""\"mod download\") printf '{{\\n\\t"Sum": "{module_hash}",\\n}}\\n' ;;\n"""
                          'install*) touch "$GOBIN/age" ;;\nesac\n')
            go.chmod(0o755)
            done = subprocess.run([str(ROOT / "scripts/tools.sh"), "age"], env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": folder, "INFERD_TOOLS": f"{folder}/tools"},
                                  capture_output=True, text=True, check=False)
            return done.returncode, done.stderr, (Path(folder) / "tools/bin/age").exists()

    def test_a_tool_of_another_hash_is_not_built(self):
        right = re.search(r"(?m)^age .* (h1:\S+)$", (ROOT / "platform/tools.lock").read_text()).group(1)
        self.assertEqual(self.build_age(right), (0, "", True))
        code, said, built = self.build_age("h1:" + "A" * 43 + "=")
        self.assertEqual((code, built), (1, False))
        self.assertIn(f"the lock says '{right}'; nothing was built", said)

    def test_the_provider_has_an_upper_bound_everywhere(self):
        files = list((ROOT / "platform").glob("**/versions.tf"))
        self.assertEqual(len(files), 5)
        for path in files:
            self.assertIn('version = "~> 8.0"', path.read_text())
            self.assertIn('required_version = ">= 1.9, < 2.0"', path.read_text())

    def test_bindings_take_nothing_from_others(self):
        for path in (ROOT / "platform").glob("**/*.tf"):
            self.assertNotRegex(path.read_text(), r'resource "\w+_iam_(binding|policy)"', path.name)

    def test_a_verb_of_flux_that_does_not_exist_is_not_called(self):
        verbs = {"bootstrap", "check", "envsubst", "get", "reconcile"}
        for path in (ROOT / "scripts/platform").glob("*.py"):
            for verb in re.findall(r'(?:run|ask|output)\("flux", "(\w+)"', path.read_text()):
                self.assertIn(verb, verbs, path.name)


if __name__ == "__main__":
    unittest.main()
