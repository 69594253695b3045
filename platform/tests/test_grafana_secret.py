# SPDX-License-Identifier: Apache-2.0
"""make grafana-secret: a random password that no file, command line or message ever has in clear text."""

from __future__ import annotations

import re
import unittest

import yaml
from door import ROOT, Door

FILE = "platform/clusters/prod/secrets/grafana-admin.secret.yaml"
LIST = "platform/clusters/prod/secrets/kustomization.yaml"
ENC = "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]"
ENCRYPTED = (f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: grafana-admin\n  namespace: monitoring\nstringData:\n  admin-user: {ENC}\n  admin-password: {ENC}\n"
             "sops:\n  version: 3.13.3\n")


class GrafanaSecret(Door):
    def setUp(self):
        super().setUp()
        self.write(".sops.yaml", "creation_rules: []\n")
        self.write(LIST, "# kept\nkind: Kustomization\nresources:\n  - wanted.yaml\n")
        self.answer({"match": "sops encrypt", "stdout": ENCRYPTED})

    def given(self) -> dict:
        """What sops was given to encrypt."""
        (call,) = [r for r in self.records if r["argv"][0] == "sops"]
        return yaml.safe_load(call["stdin"])

    def test_it_is_made_encrypted_and_listed(self):
        said = self.verb("grafana-secret")
        self.assertEqual((self.root / FILE).read_text(), ENCRYPTED)
        self.assertEqual((self.root / LIST).read_text(), "# kept\nkind: Kustomization\nresources:\n  - wanted.yaml\n  - grafana-admin.secret.yaml\n")
        self.assertIn("commit it", said.stdout)
        self.assertIn(f"--filename-override {FILE}", self.calls[0])  # the rule of that path decides the key

    def test_it_is_the_secret_that_the_release_asks_for(self):
        self.verb("grafana-secret")
        release = yaml.safe_load((ROOT / "platform/apps/monitoring/release.yaml").read_text())["spec"]
        made, admin, (wanted,) = self.given(), release["values"]["grafana"]["admin"], release["valuesFrom"]
        self.assertEqual((made["metadata"]["name"], made["metadata"]["namespace"]), (admin["existingSecret"], "monitoring"))
        self.assertEqual(set(made["stringData"]), {admin["userKey"], admin["passwordKey"]})
        self.assertEqual((wanted["name"], wanted["valuesKey"]), (admin["existingSecret"], admin["userKey"]))

    def test_the_password_is_random_and_nowhere_in_clear_text(self):
        passwords = set()
        for _ in range(3):
            (self.root / FILE).unlink(missing_ok=True)
            done = self.verb("grafana-secret")
            password = self.given()["stringData"]["admin-password"]
            self.assertRegex(password, r"^[\w-]{32}$")
            self.assertNotIn(password, done.stdout + done.stderr + " ".join(self.calls))
            for path in self.root.rglob("*"):
                if path.is_file():
                    self.assertNotIn(password, path.read_text(errors="replace"), path)
            passwords.add(password)
        self.assertEqual(len(passwords), 3)

    def test_what_sops_left_readable_is_not_written(self):
        for broken in (re.sub(r"admin-password: .*", "admin-password: hunter2", ENCRYPTED), ENCRYPTED.partition("sops:")[0], ""):
            self.answer({"match": "sops encrypt", "stdout": broken})
            self.assertIn("was not written", self.verb("grafana-secret", code=1).stderr)
            self.assertFalse((self.root / FILE).exists())

    def test_one_that_exists_is_kept(self):
        self.write(FILE, "mine")
        self.assertIn("make sops-edit", self.verb("grafana-secret", code=1).stderr)
        self.assertEqual((self.root / FILE).read_text(), "mine")

    def test_other_clusters(self):
        self.verb("grafana-secret", CLUSTER_DIR="local")
        self.assertTrue((self.root / FILE.replace("prod", "local")).exists())
        self.assertIn("there are prod, local", self.verb("grafana-secret", code=1, CLUSTER_DIR="staging").stderr)

    def test_without_rules_and_when_dry(self):
        self.assertIn("would write", self.verb("grafana-secret", DRY_RUN="1").stdout)
        self.assertFalse((self.root / FILE).exists())
        (self.root / ".sops.yaml").unlink()
        self.assertIn("make sops-init", self.verb("grafana-secret", code=1).stderr)


if __name__ == "__main__":
    unittest.main()
