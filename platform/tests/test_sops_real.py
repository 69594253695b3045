# SPDX-License-Identifier: Apache-2.0
"""SOPS itself, against a local stand-in of Cloud KMS with key versions, and with age.

What the stand-in shows is SOPS's and our part of a rotation; that Cloud KMS behaves as the stand-in does is its
documentation's word. INFERD_TOOLS_BIN is the folder of sops, age and age-keygen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

from door import GOOD, HERE, KEY, Door

sys.path.insert(0, str(HERE / "fake"))
from kms import Kms  # noqa: E402

BIN = Path(os.environ.get("INFERD_TOOLS_BIN") or Path.home() / ".cache/inferd/tools/bin")
CLEAR = "apiVersion: v1\nkind: Secret\nmetadata:\n    name: grafana\nstringData:\n    user: admin\n    password: {}\n"
FILES = ("platform/apps/monitoring/grafana.secret.yaml", "platform/apps/ray/token.secret.yaml")


class Real(Door):
    def setUp(self):
        super().setUp()
        for tool in ("sops", "age-keygen"):
            (self.bin / tool).unlink()
            (self.bin / tool).symlink_to(BIN / tool)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)

    def sops(self, *argv: str, **environ: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(BIN / "sops"), *argv], cwd=self.root, env={"PATH": str(self.bin), "HOME": str(self.dir), **environ},
                              capture_output=True, text=True, check=False)


class Rotation(Real):
    """The steps of docs/runbooks/rotate-keys.md, and what happens to who leaves one out."""

    def setUp(self):
        super().setUp()
        self.kms = Kms(KEY)
        self.addCleanup(self.kms.close)
        self.cloud = {"SOPS_GCP_KMS_ENDPOINT": self.kms.endpoint, "SOPS_GCP_KMS_CLIENT_TYPE": "rest", "GOOGLE_OAUTH_ACCESS_TOKEN": "t"}
        self.verb("sops-init")
        for index, name in enumerate(FILES):
            self.write(name, CLEAR.format(f"hunter{index}"))
            self.verb("sops-encrypt", FILE=name, **self.cloud)

    def password(self, name: str) -> str:
        return self.sops("decrypt", "--extract", '["stringData"]["password"]', name, **self.cloud).stdout

    def test_encrypted_values_only(self):
        text = (self.root / FILES[0]).read_text()
        self.assertNotIn("hunter0", text)
        self.assertIn("name: grafana", text)
        self.assertEqual([self.password(n) for n in FILES], ["hunter0", "hunter1"])
        self.assertIn("2 encrypted files", self.verb("sops-verify").stdout)
        self.assertEqual([v for v, _ in self.kms.requests].count("encrypt"), 2)

    def test_fresh_files_are_not_stale(self):
        self.assertIn("2 files, all encrypted by the primary version", self.verb("sops-stale", **self.cloud).stdout)

    def test_after_a_rotation_they_are_and_still_decrypt(self):
        self.kms.rotate(KEY)
        done = self.verb("sops-stale", code=1, **self.cloud)
        for name in FILES:
            self.assertIn(f"{name} needs an old version", done.stderr)
        self.assertEqual(self.password(FILES[0]), "hunter0")

    def test_one_stale_file_of_two(self):
        self.kms.rotate(KEY)
        self.sops("rotate", "--in-place", FILES[0], **self.cloud)
        done = self.verb("sops-stale", code=1, **self.cloud)
        self.assertNotIn(FILES[0], done.stderr)
        self.assertIn(FILES[1], done.stderr)

    def test_destroying_the_old_version_without_re_encryption_locks_out(self):
        self.kms.rotate(KEY)
        self.kms.set_state(KEY, 1, "DESTROYED")
        self.assertEqual(self.password(FILES[0]), "")
        self.assertIn("current state is: DESTROYED", self.verb("sops-stale", code=1, **self.cloud).stderr)

    def test_the_whole_runbook(self):
        before = [(self.root / n).read_text() for n in FILES]
        self.kms.rotate(KEY)
        self.assertIn("2 files re-encrypted", self.verb("sops-rotate", **self.cloud).stdout)
        self.assertNotEqual([(self.root / n).read_text() for n in FILES], before)
        self.verb("sops-stale", **self.cloud)
        self.kms.set_state(KEY, 1, "DISABLED")
        self.assertEqual([self.password(n) for n in FILES], ["hunter0", "hunter1"])
        self.kms.set_state(KEY, 1, "DESTROYED")
        self.assertEqual([self.password(n) for n in FILES], ["hunter0", "hunter1"])
        self.verb("sops-verify")

    def test_updatekeys_alone_does_not_re_encrypt(self):
        """Why the runbook says rotate: with the same keys in the rules, updatekeys leaves the old version in use."""
        self.kms.rotate(KEY)
        self.sops("updatekeys", "--yes", FILES[0], **self.cloud)
        self.assertIn(FILES[0], self.verb("sops-stale", code=1, **self.cloud).stderr)

    def test_a_changed_file_is_noticed(self):
        path = self.root / FILES[0]
        whole = path.read_text()
        user, password = (whole.split(f"{k}: ")[1].split("\n")[0] for k in ("user", "password"))
        for changed in (whole.replace("name: grafana", "name: other"), whole.replace(user, password)):
            path.write_text(changed)
            self.assertNotEqual(self.sops("decrypt", FILES[0], **self.cloud).returncode, 0)
        path.write_text(whole)
        self.assertEqual(self.password(FILES[0]), "hunter0")

    def test_another_forks_key(self):
        self.env(**{**GOOD, "KMS_CRYPTO_KEY": "other"})
        self.verb("sops-init")
        self.assertIn("not found", self.verb("sops-rotate", code=1, **self.cloud).stderr)


class LocalCluster(Real):
    def test_age(self):
        made = subprocess.run([str(BIN / "age-keygen")], capture_output=True, text=True, check=True)
        recipient = made.stderr.split("Public key: ")[1].strip() if "Public key" in made.stderr else made.stdout.split("public key: ")[1].split("\n")[0]
        self.env(**GOOD, AGE_RECIPIENT=recipient)
        self.verb("sops-init")
        name = "platform/clusters/local/grafana.secret.yaml"
        self.write(name, CLEAR.format("hunter2"))
        self.verb("sops-encrypt", FILE=name)
        self.assertNotIn("gcp_kms:\n", (self.root / name).read_text())
        identity = next(line for line in made.stdout.splitlines() if line.startswith("AGE-SECRET"))
        opened = self.sops("decrypt", name, SOPS_AGE_KEY=identity)
        self.assertIn("hunter2", opened.stdout)
        self.assertNotEqual(self.sops("decrypt", name).returncode, 0, "without the identity nobody reads it")
        self.assertIn("0 files", self.verb("sops-stale").stdout)

    def test_grafanas_secret(self):
        made = subprocess.run([str(BIN / "age-keygen")], capture_output=True, text=True, check=True).stdout
        self.env(**GOOD, AGE_RECIPIENT=made.split("public key: ")[1].split("\n")[0])
        self.verb("sops-init")
        self.verb("grafana-secret", CLUSTER_DIR="local")
        name = "platform/clusters/local/secrets/grafana-admin.secret.yaml"
        identity = next(line for line in made.splitlines() if line.startswith("AGE-SECRET"))
        password = self.sops("decrypt", "--extract", '["stringData"]["admin-password"]', name, SOPS_AGE_KEY=identity).stdout
        self.assertRegex(password, r"^[\w-]{32}$")
        self.assertNotIn(password, (self.root / name).read_text())
        self.assertIn("1 encrypted files", self.verb("sops-verify").stdout)

    def test_a_file_that_no_rule_covers(self):
        self.verb("sops-init")
        self.write("docs/x.secret.yaml", CLEAR.format("hunter2"))
        self.assertIn("no matching creation rules found", self.verb("sops-encrypt", code=1, FILE="docs/x.secret.yaml").stderr)


if __name__ == "__main__":
    unittest.main()
