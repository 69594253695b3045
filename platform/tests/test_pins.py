# SPDX-License-Identifier: Apache-2.0
"""make pin-digests and make lock, with stand-ins of skopeo and terraform: what they write, and that a failure writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import unittest

from door import HERE, ROOT, Door

INDEX = '{"schemaVersion": 2, "manifests": []}'
DIGEST = "sha256:" + hashlib.sha256(INDEX.encode()).hexdigest()
MANIFEST = """kind: Deployment
spec:
  containers:
    - image: ghcr.io/fluxcd/source-controller:v1.9.5
    - name: b
      image: "registry:5000/team/app:1.0" # ours
    - image: ghcr.io/done:1@{digest}
    - image: ${{IMAGE_REPOSITORY}}/inferd:1
"""


class Pins(Door):
    def setUp(self):
        super().setUp()
        (self.root / "scripts").mkdir()
        for name in ("pin-digests.sh", "lock.sh"):
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts" / name)
        (self.bin / "skopeo").symlink_to(HERE / "fake/tool.py")
        self.file = self.write("platform/apps/x.yaml", MANIFEST.format(digest=DIGEST))
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)

    def script(self, name: str, *argv: str, code: int = 0) -> subprocess.CompletedProcess:
        self.log.write_text("", encoding="utf-8")
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.dir), "FAKE_LOG": str(self.log), "FAKE_ANSWERS": str(self.answers)}
        done = subprocess.run([str(self.root / "scripts" / name), *argv], env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_images_get_the_digest_of_what_the_registry_sent(self):
        self.answer({"match": "skopeo", "stdout": INDEX})
        self.assertEqual(self.script("pin-digests.sh", "--check", code=1).stdout,
                         "not pinned: ghcr.io/fluxcd/source-controller:v1.9.5\nnot pinned: registry:5000/team/app:1.0\n")
        self.script("pin-digests.sh")
        self.assertEqual(self.calls, ["skopeo inspect --raw docker://ghcr.io/fluxcd/source-controller:v1.9.5", "skopeo inspect --raw docker://registry:5000/team/app:1.0"])
        self.assertEqual(self.file.read_text(), MANIFEST.format(digest=DIGEST).replace("v1.9.5\n", f"v1.9.5@{DIGEST}\n").replace('app:1.0"', f'app:1.0@{DIGEST}"'))
        self.assertEqual(self.script("pin-digests.sh", "--check").stdout, "")
        self.script("pin-digests.sh")
        self.assertEqual(self.calls, [])

    def test_no_answer_pins_nothing(self):
        self.answer({"match": "source-controller", "code": 1, "stderr": "manifest unknown"}, {"match": "skopeo"})
        done = self.script("pin-digests.sh", code=1)
        self.assertEqual(done.stderr.count("no answer for"), 2)
        self.assertEqual(self.file.read_text(), MANIFEST.format(digest=DIGEST))

    def test_lock_asks_the_registry_for_each_root(self):
        self.script("lock.sh")
        platforms = "-platform=linux_amd64 -platform=linux_arm64 -platform=darwin_arm64"
        self.assertEqual(self.calls, [f"terraform -chdir=platform/{root} providers lock {platforms}" for root in ("infra-bootstrap", "infra")])
        self.answer({"match": "terraform", "code": 1, "stderr": "no such host"})
        self.assertIn("run this where it can be", self.script("lock.sh", code=1).stderr)

    def test_no_lock_is_committed_that_lacks_the_registrys_hashes(self):
        """A lock made from a provider of one's own build has h1 hashes of that build only; the registry's has its zh hashes."""
        for root in ("infra-bootstrap", "infra"):
            path = ROOT / "platform" / root / ".terraform.lock.hcl"
            if path.exists():
                self.assertIn('"zh:', path.read_text(), path)

    def test_prices_have_a_date_and_a_source(self):
        prices = json.loads((ROOT / "platform/prices.json").read_text())
        self.assertTrue(prices["date"] and prices["source"] and prices["not_included"])
        for region, machines in prices["regions"].items():
            for machine, price in machines.items():
                self.assertLess(price["spot"], price["on_demand"], f"{region} {machine}")


if __name__ == "__main__":
    unittest.main()
