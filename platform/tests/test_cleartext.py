# SPDX-License-Identifier: Apache-2.0
"""sops-init and sops-verify: the rules of a fork, and secrets in clear text in the tree and in its history."""

from __future__ import annotations

import subprocess
import unittest

from door import GOOD, KEY, Door

ENC = "ENC[AES256_GCM,data:abcd,iv:abcd,tag:abcd,type:str]"
SEALED = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData:\n  password: {ENC}\nsops:\n  mac: x\n"
CLEAR = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n"
AGE = "age1" + "q" * 58


class Rules(Door):
    def test_of_production(self):
        self.verb("sops-init")
        text = (self.root / ".sops.yaml").read_text()
        self.assertIn(f"gcp_kms: {KEY}\n", text)
        self.assertNotIn("age:", text)
        self.assertNotIn("${", text)

    def test_with_a_local_cluster(self):
        self.env(**GOOD, AGE_RECIPIENT=AGE)
        self.verb("sops-init")
        text = (self.root / ".sops.yaml").read_text()
        self.assertLess(text.index(f"age: {AGE}"), text.index("gcp_kms:"), "SOPS takes the first rule that matches")
        self.assertNotIn("[local]", text)

    def test_again_says_what_changed(self):
        self.verb("sops-init")
        self.assertIn("is as it was", self.verb("sops-init").stdout)
        self.assertIn("its keys changed", self.verb("sops-init", KMS_CRYPTO_KEY="other").stdout)


class Cleartext(Door):
    def setUp(self):
        super().setUp()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "a@example.org")
        self.git("config", "user.name", "A")
        self.commit("start")

    def git(self, *argv: str) -> str:
        return subprocess.run(["git", "-C", str(self.root), *argv], capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, message: str):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def test_what_is_fine(self):
        self.write("a.secret.yaml", SEALED)
        self.write("b.yaml", "kind: ConfigMap\ndata: {password: hunter2}\n---\nkind: ExternalSecret\nspec: {data: x}\n")
        self.write("c.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: empty}\n")
        self.write("d.yaml", "kind: {{ .Kind }}\nsecretName: Secret\n")
        self.write("e.md", CLEAR)
        self.commit("fine")
        self.assertIn("1 encrypted files", self.verb("sops-verify").stdout)

    def test_what_is_not(self):
        private = "-----BEGIN OPENSSH PRIVATE" + " KEY-----\n" + "A" * 70 + "\n"
        cases = {
            "a Secret": (CLEAR, "stringData.password"),
            "base64 is not encryption": (CLEAR.replace("stringData", "data"), "data.password"),
            "the second document": (SEALED + "---\n" + CLEAR, "stringData.password"),
            "inside a List": ('{"kind": "List", "items": [{"kind": "Secret", "data": {"a": "YQ=="}}]}', "data.a"),
            "one value of two": (SEALED.replace("  password", "  user: admin\n  password"), "stringData.user"),
            "what only looks encrypted": (SEALED.replace(ENC, "ENC[hunter2]"), "stringData.password"),
            "without metadata of SOPS": (SEALED.split("sops:")[0], "no SOPS metadata"),
            "not YAML": ("kind: Secret\nstringData:\n  a: {{ .x }}\n b\n", "not valid YAML"),
            "an SSH key": (private, "SSH or TLS private key"),
            "an age identity": ("AGE-SECRET-" + "KEY-1" + "Q" * 58, "age identity"),
            "a service account's key": ('{"private_key' + '_id": "' + "a" * 40 + '"}', "service account's key"),
            "a token": ("gh" + "p_" + "a" * 36, "GitHub token"),
        }
        for name, (text, want) in cases.items():
            path = self.write("x.json" if text.startswith("{") else "x.yaml", text)
            self.assertIn(want, self.verb("sops-verify", code=1).stderr, name)
            path.unlink()
        self.verb("sops-verify")

    def test_a_file_that_git_ignores_is_nobodys(self):
        self.write(".gitignore", "/.env\n/private/\n")
        self.write("private/x.yaml", CLEAR)
        self.verb("sops-verify")

    def test_history(self):
        path = self.write("x.yaml", CLEAR)
        self.commit("leak")
        leak = self.git("rev-parse", "--short", "HEAD")
        blob = self.git("rev-parse", "HEAD:x.yaml")
        path.write_text(SEALED)
        self.commit("encrypt it")
        path.unlink()
        self.commit("remove it")
        done = self.verb("sops-verify", code=1)
        self.assertIn(f"x.yaml in commit {leak} (object {blob})", done.stderr)
        self.assertIn("Change the secret", done.stderr)
        self.write("platform/sops/acknowledged.txt", f"{blob} password changed on 2026-11-25\n")
        self.assertIn("1 findings of the past acknowledged", self.verb("sops-verify").stdout)
        self.write("platform/sops/acknowledged.txt", f"{blob}\n")
        self.assertIn("acknowledged.txt:1", self.verb("sops-verify", code=1).stderr)

    def test_history_of_another_branch_and_of_a_stash(self):
        self.git("checkout", "-q", "-b", "side")
        self.write("x.yaml", CLEAR)
        self.commit("leak")
        self.git("checkout", "-q", "main")
        self.assertIn("x.yaml in commit", self.verb("sops-verify", code=1).stderr)
        self.git("branch", "-q", "-D", "side")
        self.verb("sops-verify")
        self.write("y.yaml", CLEAR)
        self.git("stash", "-q", "-u")
        self.assertIn("y.yaml in commit", self.verb("sops-verify", code=1).stderr)

    def test_a_shallow_clone_is_not_called_clean(self):
        self.commit("second")
        clone = self.dir / "clone"
        subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{self.root}", str(clone)], check=True)
        done = self.verb("sops-verify", code=1, INFERD_ROOT=str(clone))
        self.assertIn("fetch --unshallow", done.stderr)


class Encrypt(Door):
    def test_what_is_refused(self):
        self.assertIn("make sops-init", self.verb("sops-encrypt", code=1, FILE="x.secret.yaml").stderr)
        self.verb("sops-init")
        self.assertIn("which file?", self.verb("sops-encrypt", code=1).stderr)
        self.assertIn("not a file of this tree", self.verb("sops-encrypt", code=1, FILE="nowhere.yaml").stderr)
        self.assertIn("not a file of this tree", self.verb("sops-encrypt", code=1, FILE="/etc/passwd").stderr)
        self.write("x.yaml", CLEAR)
        self.assertIn("not named *.secret.yaml", self.verb("sops-encrypt", code=1, FILE="x.yaml").stderr)
        self.write("x.secret.yaml", SEALED)
        self.assertIn("encrypted already", self.verb("sops-encrypt", code=1, FILE="x.secret.yaml").stderr)
        self.write("x.secret.yaml", "kind: ConfigMap\ndata: {a: b}\n")
        self.assertIn("nothing to encrypt", self.verb("sops-encrypt", code=1, FILE="x.secret.yaml").stderr)

    def test_a_sops_that_leaves_something_readable_is_noticed(self):
        self.verb("sops-init")
        self.write("x.secret.yaml", CLEAR)
        self.assertIn("still readable: Secret s: stringData.password", self.verb("sops-encrypt", code=1, FILE="x.secret.yaml").stderr)
        self.assertEqual(self.calls, ["sops encrypt --in-place x.secret.yaml"])

    def test_edit(self):
        self.verb("sops-init")
        self.write("x.secret.yaml", SEALED)
        self.verb("sops-edit", FILE="x.secret.yaml")
        self.assertEqual(self.calls, ["sops edit x.secret.yaml"])


if __name__ == "__main__":
    unittest.main()
