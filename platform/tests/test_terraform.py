# SPDX-License-Identifier: Apache-2.0
"""Both Terraform roots: format, validation, their own tests; that each refusal is by our message, and each validation used."""

from __future__ import annotations

import re
import subprocess
import unittest

from door import ROOT
from terraform_tree import ROOTS, Tree, runs

VALIDATION = re.compile(r"validation \{.*?error_message\s*=\s*\"((?:[^\"\\]|\\.)*)\"", re.S)
POSTCONDITION = re.compile(r"postcondition \{.*?error_message\s*=\s*\"((?:[^\"\\]|\\.)*)\"", re.S)
RUN = re.compile(r'^run "(\w+)" \{.*?^\}\n', re.S | re.M)
EXPECT = re.compile(r"^\s*expect_failures = .*\n", re.M)


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace('\\"', '"')).strip()


class Roots(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = Tree()
        cls.addClassCleanup(cls.tree.close)
        for root in ROOTS:
            cls.tree.init(root)

    def test_format(self):
        done = subprocess.run(["terraform", "fmt", "-check", "-recursive", str(ROOT / "platform")], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_validate(self):
        for root in ROOTS:
            done = self.tree.run(root, "validate", "-no-color")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_their_own_tests(self):
        total = 0
        for root in ROOTS:
            found = runs(self.tree.test(root))
            self.assertEqual({k: v for k, v in found.items() if v != "pass"}, {})
            total += len(found)
        print(f"\nterraform test: {total} runs passed", flush=True)
        self.assertGreaterEqual(total, 85)

    def test_every_variable_and_output_is_described_and_typed(self):
        for path in (ROOT / "platform").glob("*/**/*.tf"):
            for kind, name, body in re.findall(r'^(variable|output) "(\w+)" \{(.*?)^\}', path.read_text(), re.S | re.M):
                self.assertRegex(body, r"description\s*=", f"{path}: {name}")
                if kind == "variable":
                    self.assertRegex(body, r"type\s*=", f"{path}: {name}")

    def refusals(self, root: str) -> dict[str, list[str]]:
        """run -> what Terraform says when the run does not expect its failure."""
        tests = self.tree.dir / root / "tests"
        text = (ROOT / "platform" / root / "tests/refused.tftest.hcl").read_text()
        head = text[:RUN.search(text).start()]
        only = []
        for m in RUN.finditer(text):
            path = tests / f"bare_{m.group(1)}.tftest.hcl"
            path.write_text(head + EXPECT.sub("", m.group(0)))
            only.append(f"-filter=tests/{path.name}")
        said: dict[str, list[str]] = {}
        try:
            self.tree.init(root)  # a run's module is installed for its file
            for m in self.tree.test(root, *only):
                if m["type"] == "diagnostic" and m["diagnostic"]["severity"] == "error":
                    said.setdefault(m.get("@testrun", "?"), []).append(flat(f"{m['diagnostic']['summary']}: {m['diagnostic'].get('detail', '')}"))
        finally:
            for path in tests.glob("bare_*"):
                path.unlink()
        self.assertEqual(set(said), {m.group(1) for m in RUN.finditer(text)}, "a value was not refused")
        return said

    def test_each_refusal_is_by_our_message_and_each_validation_has_one(self):
        used: set[str] = set()
        for root in ROOTS:
            ours = {flat(t) for pattern in (VALIDATION, POSTCONDITION) for path in [*(ROOT / "platform" / root).glob("*.tf"), *(ROOT / "platform/modules").glob("*/*.tf")]
                    for t in pattern.findall(path.read_text())}
            for run, messages in self.refusals(root).items():
                hits = {o for o in ours for m in messages if o in m}
                self.assertTrue(hits, f"{root}: {run}: not our message: {messages}")
                self.assertEqual(len(messages), 1, f"{root}: {run}: {messages}")
                used |= {f"{root}: {h}" for h in hits}
        all_ours = set()
        for root in ROOTS:
            for path in (ROOT / "platform" / root).glob("*.tf"):
                all_ours |= {f"{root}: {flat(t)}" for pattern in (VALIDATION, POSTCONDITION) for t in pattern.findall(path.read_text())}
        for path in (ROOT / "platform/modules").glob("*/*.tf"):
            all_ours |= {f"infra: {flat(t)}" for t in VALIDATION.findall(path.read_text())}
        self.assertEqual(all_ours - used, set(), "validations that nothing trips")
        print(f"\nvalidations: {len(all_ours)}, each tripped by a value of its own", flush=True)

    def test_a_validation_that_is_taken_out_is_missed(self):
        """The control of the test above: without its validation, a value is not refused."""
        path = self.tree.dir / "infra/variables-pools.tf"
        whole = path.read_text()
        path.write_text(re.sub(r"  validation \{\n    condition     = contains\(\[\"DEFAULT\".*?\n  \}\n", "", whole, flags=re.S))
        self.assertNotEqual(path.read_text(), whole)
        try:
            messages = self.tree.test("infra", "-filter=tests/refused.tftest.hcl")
        finally:
            path.write_text(whole)
        self.assertNotEqual(runs(messages)["tests/refused.tftest.hcl/driver_pinned"], "pass")
        missed = [m["@testrun"] for m in messages if m["type"] == "diagnostic" and m["diagnostic"]["summary"] == "Missing expected failure"]
        self.assertEqual(missed, ["driver_pinned"])

    def test_a_broken_plan_is_noticed(self):
        """Controls of the roots' own tests: each change here must make the named run fail."""
        twins = (
            ("modules/node-pool/main.tf", "total_max_node_count = var.nodes_max", "max_node_count = var.nodes_max", "infra", "tests/pools.tftest.hcl/gpu_pool"),
            ("modules/node-pool/main.tf", "max_surge       = var.may_surge ? 1 : 0", "max_surge       = 1", "infra", "tests/pools.tftest.hcl/gpu_pool"),
            ("infra/cluster.tf", "enable_private_nodes = true", "enable_private_nodes = false", "infra", "tests/posture.tftest.hcl/cluster"),
            ("infra/cluster.tf", "name                = var.cluster_name", 'name                = "ray-serve-gke"', "infra", "tests/matrix.tftest.hcl/names_follow_the_cluster"),
            ("infra/identities.tf", "roles/cloudkms.cryptoKeyDecrypter", "roles/cloudkms.cryptoKeyEncrypterDecrypter", "infra", "tests/posture.tftest.hcl/least_rights"),
            ("infra-bootstrap/state.tf", "enabled = true", "enabled = false", "infra-bootstrap", "tests/bootstrap.tftest.hcl/fresh"),
            ("infra-bootstrap/apis.tf", '    "container.googleapis.com",\n', "", "infra-bootstrap", "tests/bootstrap.tftest.hcl/fresh"),
        )
        for name, old, new, root, run in twins:
            path = self.tree.dir / name
            whole = path.read_text()
            self.assertIn(old, whole, name)
            path.write_text(whole.replace(old, new, 1))
            try:
                found = runs(self.tree.test(root, f"-filter={run.rpartition('/')[0]}"))
            finally:
                path.write_text(whole)
            self.assertNotEqual(found[run], "pass", f"{name}: {old!r} -> {new!r}")
        print(f"\nbroken twins of the plan: {len(twins)}, each noticed", flush=True)


if __name__ == "__main__":
    unittest.main()
