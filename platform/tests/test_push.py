# SPDX-License-Identifier: Apache-2.0
"""make image-push into a real registry on loopback (crane's own), with layouts that are small but whole. Needs crane (make tools)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from door import ROOT
from test_images import EPOCH, small_root

sys.path.insert(0, str(ROOT / "scripts/images"))
import layer  # noqa: E402
import oci  # noqa: E402
import sbom  # noqa: E402
from tree import Entry  # noqa: E402

CRANE = Path(os.environ.get("INFERD_TOOLS_BIN", "/nonexistent")) / "crane"


class Push(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="push-"))
        self.addCleanup(shutil.rmtree, self.dir, True)
        (self.dir / "scripts").mkdir()
        (self.dir / "scripts/tools.sh").write_text(f'#!/bin/sh\n[ "$1" != --path ] || echo {CRANE.parent}\n')
        (self.dir / "scripts/tools.sh").chmod(0o755)
        with (self.dir / "log").open("wb") as log:
            self.registry = subprocess.Popen([str(CRANE), "registry", "serve", "--address", "127.0.0.1:0"], stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(self.end)
        port = None
        for _ in range(600):
            port = re.search(r"port:? (\d+)|127\.0\.0\.1:(\d+)", (self.dir / "log").read_text())
            if port:
                break
            time.sleep(0.1)
        self.assertTrue(port, (self.dir / "log").read_text())
        self.into = f"127.0.0.1:{port.group(1) or port.group(2)}/team/images"
        self.digest = self.layout(b"1")

    def end(self):
        self.registry.terminate()
        self.registry.wait(timeout=60)

    def layout(self, content: bytes, name: str = "inferd") -> str:
        """A layout of two architectures in dist/images; the digest of its index."""
        root, made = small_root(), oci.Layout()
        root.add("/content", Entry("file", 0o644, content))
        tar = layer.tar_bytes(root, EPOCH)
        packed = [oci.Layer("base", f"sha256:{layer.sha256(tar)}", layer.gzip_bytes(tar))]
        labels = {"org.opencontainers.image.revision": "a" * 40}
        both = [made.image(oci.Platform(arch, {"User": "65532"}, packed), sbom.timestamp(EPOCH), labels) for arch in ("amd64", "arm64")]
        made.write(self.dir / "dist/images" / name, made.index(both, labels), "1.2.3")
        return oci.Reader(self.dir / "dist/images" / name).top()[1]["digest"]

    def push(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(ROOT / "scripts/platform"), "image-push"], capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.dir), "INFERD_ROOT": str(self.dir), "IMAGE_REPOSITORY": self.into})

    def crane(self, *argv: str) -> str:
        return subprocess.run([str(CRANE), *argv], capture_output=True, text=True, check=True, env={"HOME": str(self.dir), "PATH": os.environ["PATH"]}).stdout

    def test_what_arrives_is_what_was_built(self):
        done = self.push()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"pushed {self.into}/inferd:1.2.3@{self.digest}", done.stdout)
        self.assertEqual(self.crane("digest", f"{self.into}/inferd:1.2.3").strip(), self.digest)
        index = json.loads(self.crane("manifest", f"{self.into}/inferd:1.2.3"))
        self.assertEqual([m["platform"]["architecture"] for m in index["manifests"]], ["amd64", "arm64"])
        for arch in ("amd64", "arm64"):
            # every blob is pulled and its digest and diff id are computed again
            self.crane("validate", "--remote", f"{self.into}/inferd@{oci.Reader(self.dir / 'dist/images/inferd').platforms()[arch]['digest']}")
        again = self.push()
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("is there already", again.stdout)

    def test_the_workflows_step_pushes_what_the_release_holds(self):
        digests = {"inferd": self.digest, "inferd-ray": self.layout(b"ray", "inferd-ray")}
        release = self.dir / "dist/release"
        release.mkdir()
        for name in digests:
            (release / f"{name}-1.2.3.oci.tar").write_bytes(oci.archive(self.dir / "dist/images" / name, EPOCH))
        shutil.rmtree(self.dir / "dist/images")
        sums = subprocess.run("sha256sum -- *", shell=True, cwd=release, capture_output=True, text=True, check=True).stdout
        (release / "SHA256SUMS").write_text(sums)
        shutil.copy(ROOT / "scripts/ci-push.sh", self.dir / "scripts/ci-push.sh")
        (self.dir / "Makefile").write_text(f"image-push:\n\t@{sys.executable} {ROOT}/scripts/platform image-push\n")
        (self.dir / "bin").mkdir()
        (self.dir / "bin/gcloud").write_text("#!/bin/sh\necho a-token\n")
        (self.dir / "bin/gcloud").chmod(0o755)
        env = {"PATH": f"{self.dir}/bin:{os.environ['PATH']}", "HOME": str(self.dir), "INFERD_ROOT": str(self.dir), "IMAGE_REPOSITORY": self.into,
               "GITHUB_OUTPUT": str(self.dir / "output")}

        def step() -> subprocess.CompletedProcess[str]:
            return subprocess.run([str(self.dir / "scripts/ci-push.sh")], env=env, capture_output=True, text=True, check=False)

        archive = release / "inferd-1.2.3.oci.tar"
        whole = archive.read_bytes()
        archive.write_bytes(whole[:-1] + b"x")
        self.assertNotEqual(step().returncode, 0, "an archive that is not the release's was pushed")
        archive.write_bytes(whole)
        done = step()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(dict(line.split("=", 1) for line in (self.dir / "output").read_text().splitlines()), digests)
        for name, digest in digests.items():
            self.assertEqual(self.crane("digest", f"{self.into}/{name}:1.2.3").strip(), digest)

    def test_another_image_does_not_take_the_tag(self):
        self.assertEqual(self.push().returncode, 0)
        other = self.layout(b"2")
        self.assertNotEqual(other, self.digest)
        done = self.push()
        self.assertEqual(done.returncode, 1)
        self.assertIn("A tag keeps its image", done.stderr)
        self.assertEqual(self.crane("digest", f"{self.into}/inferd:1.2.3").strip(), self.digest)

    def test_a_registry_that_is_not_there_is_an_error(self):
        self.end()
        done = self.push()
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not say whether", done.stderr)


if __name__ == "__main__":
    unittest.main()
