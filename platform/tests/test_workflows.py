# SPDX-License-Identifier: Apache-2.0
"""The workflows: what actionlint says (with twins that it must refuse), and rules that it does not know. bump_image.py against kustomize."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml
from door import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import bump_image  # noqa: E402

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
BIN = Path(os.environ.get("INFERD_TOOLS_BIN", "/nonexistent"))
DIGEST = "sha256:" + "ab" * 32
# Who may write what, job by job: a right that is added must be added here too.
RIGHTS = {
    "test.yml": {"test": {"contents": "read"}, "images": {"contents": "read"}},
    "release.yml": {"build": {"contents": "read"}, "same": {}, "push": {"contents": "read", "id-token": "write", "attestations": "write"},
                    "publish": {"contents": "write"}, "propose": {"contents": "write", "pull-requests": "write"}},
}


def breaches(name: str, text: str) -> list[str]:
    """What actionlint does not look for: unpinned actions, rights, stored secrets, tokens left in the checkout, expressions in scripts."""
    found, flow = [], yaml.safe_load(text)
    if flow.get("permissions") != {}:
        found.append("the workflow's own permissions are not empty")
    for line in re.findall(r"uses: (.*)", text):
        if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line):
            found.append(f"{line} is not pinned by a commit with its version beside it")
    if re.search(r"\bsecrets\.", text):
        found.append("a stored secret is used")
    for job, body in flow["jobs"].items():
        if body.get("permissions") != RIGHTS.get(name, {}).get(job):
            found.append(f"job {job} has the rights {body.get('permissions')}")
        if "timeout-minutes" not in body:
            found.append(f"job {job} has no time limit")
        writes = "contents" in body.get("permissions", {}) and body["permissions"]["contents"] == "write"
        for step in body["steps"]:
            if str(step.get("uses", "")).startswith("actions/checkout@") and not writes and step.get("with", {}).get("persist-credentials") is not False:
                found.append(f"job {job} leaves its token in the checkout")
            if "${{" in str(step.get("run", "")):
                found.append(f"job {job} pastes an expression into a script")
    return found


class Rules(unittest.TestCase):
    def test_the_workflows_keep_them(self):
        self.assertEqual([p.name for p in FILES], ["release.yml", "test.yml"])
        for path in FILES:
            self.assertEqual(breaches(path.name, path.read_text()), [], path.name)

    def test_each_rule_catches_its_twin(self):
        text = (ROOT / ".github/workflows/test.yml").read_text()
        twins = {
            "is not pinned": (r"actions/checkout@[0-9a-f]{40} # v7.0.1", "actions/checkout@v7"),
            "its version beside it": (r" # v7.0.1", ""),
            "permissions are not empty": (r"permissions: \{\}", "permissions: write-all"),
            "has the rights": (r"contents: read", "contents: write"),
            "no time limit": (r"    timeout-minutes: 90\n", ""),
            "token in the checkout": (r"          persist-credentials: false\n", ""),
            "stored secret": (r"run: make lint test", "run: make lint test\n        env:\n          KEY: ${{ secrets.KEY }}"),
            "an expression into a script": (r"run: make lint test", "run: echo ${{ github.head_ref }}"),
        }
        for want, (pattern, by) in twins.items():
            twin, count = re.subn(pattern, lambda m, by=by: by, text, count=1)
            self.assertEqual(count, 1, want)
            self.assertIn(want, "\n".join(breaches("test.yml", twin)), want)

    def test_scripts_that_they_call_exist_and_make_has_the_targets(self):
        makefiles = (ROOT / "Makefile").read_text() + (ROOT / "platform/platform.mk").read_text()
        for path in FILES:
            text = path.read_text()
            for script in re.findall(r"scripts/[\w./-]+\.(?:sh|py)", text):
                self.assertTrue((ROOT / script).is_file(), script)
            for words in re.findall(r"- run: make ([a-z -]+)", text):
                for target in words.split():
                    self.assertRegex(makefiles, rf"(?m)^(?:[\w-]+ )*{target}:", target)


class Bump(unittest.TestCase):
    TEXT = ("resources: [a.yaml]\nimages:\n  - name: inferd # the server\n    newName: ${IMAGE_REPOSITORY}/inferd\n    newTag: 0.1.0\n\n  - name: inferd-ray\n    newTag: 0.1.0\n"
            "configMapGenerator:\n  - name: inferd\n    literals: [a=1]\n")

    def test_one_entry_changes_and_nothing_else(self):
        new = bump_image.bump(self.TEXT, "inferd", "0.2.0", DIGEST)
        before, after = yaml.safe_load(self.TEXT), yaml.safe_load(new)
        before["images"][0].update(newTag="0.2.0", digest=DIGEST)
        self.assertEqual(after, before)
        self.assertIn("# the server", new)
        self.assertEqual(bump_image.bump(new, "inferd", "0.2.0", DIGEST), new)
        self.assertEqual(bump_image.bump(self.TEXT, "other", "0.2.0", DIGEST), self.TEXT)

    def test_an_image_that_nothing_names_is_an_error(self):
        done = subprocess.run([sys.executable, str(ROOT / "scripts/bump_image.py"), "no-such-image", "1.0.0", DIGEST], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        done = subprocess.run([sys.executable, str(ROOT / "scripts/bump_image.py"), "inferd", "1.0.0", "sha256:0"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)

    @unittest.skipUnless((BIN / "kustomize").exists(), "kustomize is not built (make tools)")
    def test_kustomize_reads_it_as_meant(self):
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            (base / "a.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n    - {name: c, image: inferd}\n    - {name: d, image: inferd-ray}\n")
            (base / "kustomization.yaml").write_text(bump_image.bump(self.TEXT.split("configMapGenerator")[0], "inferd", "0.2.0", DIGEST))
            out = subprocess.run([str(BIN / "kustomize"), "build", folder], capture_output=True, text=True, check=True).stdout
        images = [c["image"] for c in yaml.safe_load(out)["spec"]["containers"]]
        self.assertEqual(images, ["${IMAGE_REPOSITORY}/inferd:0.2.0@" + DIGEST, "inferd-ray:0.1.0"])


@unittest.skipUnless((BIN / "actionlint").exists(), "actionlint is not built (make tools)")
class Actionlint(unittest.TestCase):
    def lint(self, *paths: Path) -> tuple[int, str]:
        done = subprocess.run([str(BIN / "actionlint"), "-no-color", *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_it_finds_nothing(self):
        self.assertEqual(self.lint(*FILES), (0, ""))

    def test_it_finds_what_is_wrong(self):
        text = (ROOT / ".github/workflows/release.yml").read_text()
        twins = {
            "property": ("steps.push.outputs.inferd }}", "steps.psuh.outputs.inferd }}"),
            "unexpected key": ("    runs-on:", "    run-on:"),
            "does not exist": ("needs: same", "needs: sane"),
            "unknown permission scope": ("attestations: write", "attestation: write"),
        }
        with tempfile.TemporaryDirectory() as folder:
            for want, (old, new) in twins.items():
                self.assertIn(old, text)
                path = Path(folder) / "twin.yml"
                path.write_text(text.replace(old, new, 1))
                code, said = self.lint(path)
                self.assertEqual(code, 1, f"{want}: {said}")
                self.assertIn(want, said)


if __name__ == "__main__":
    unittest.main()
