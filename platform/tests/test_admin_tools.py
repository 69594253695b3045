# SPDX-License-Identifier: Apache-2.0
"""scripts/install_admin_tools.sh against a mirror on loopback: apt repositories signed with a key of this test, releases
whose sums a stand-in of cosign verifies with OpenSSL. apt, dpkg, gpg, curl and sha256sum are the real ones, in a root folder of
the test's own. Each tampered twin must be refused, and leave nothing behind.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import unittest
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from door import ROOT

SIGNER = "https://example.org/vendor/release.yml@refs/tags/v1.2.3"
COSIGN = """#!/bin/bash
# verify-blob FILE --signature S --certificate C --certificate-identity I --certificate-oidc-issuer O
file=$2; shift 2
while [ $# -gt 0 ]; do case $1 in --signature) s=$2 ;; --certificate) c=$2 ;; --certificate-identity) i=$2 ;; esac; shift 2; done
openssl verify -CAfile "$FAKE_CA" "$c" >/dev/null || exit 1
openssl x509 -in "$c" -noout -ext subjectAltName | grep -qF "URI:$i" || { echo "none of the expected identities matched" >&2; exit 1; }
openssl x509 -in "$c" -noout -pubkey | openssl dgst -sha256 -verify /dev/stdin -signature "$s" "$file" >/dev/null || { echo "invalid signature" >&2; exit 1; }
"""


def run(*argv: str, **more) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, **more).stdout


@unittest.skipUnless(os.geteuid() == 0, "installing needs root")
class Mirror(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="admin-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, True)
        cls.keys, cls.others = cls.gpg_key("vendor"), cls.gpg_key("somebody")
        cls.certificate(SIGNER, "good")
        cls.site = cls.dir / "site"

    @classmethod
    def gpg_key(cls, name: str) -> tuple[Path, str]:
        home = cls.dir / f"gpg-{name}"
        home.mkdir(mode=0o700)
        env = {**os.environ, "GNUPGHOME": str(home)}
        run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", f"{name} <{name}@example.org>", "rsa2048", "sign", "never", env=env)
        listing = run("gpg", "--batch", "--list-keys", "--with-colons", env=env)
        cls.addClassCleanup(subprocess.run, ["gpgconf", "--kill", "all"], env=env, check=False)
        return home, next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))

    @classmethod
    def certificate(cls, identity: str, name: str) -> Path:
        """A self-signed certificate NAME.pem with key NAME.key whose subject is that identity."""
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(cls.dir / f"{name}.key"), "-out", str(cls.dir / f"{name}.pem"),
            "-days", "1", "-subj", "/CN=test", "-addext", f"subjectAltName=URI:{identity}")
        return cls.dir / f"{name}.pem"

    def setUp(self):
        shutil.rmtree(self.site, ignore_errors=True)
        self.root, self.bin = self.dir / f"root-{self._testMethodName}", self.dir / f"bin-{self._testMethodName}"
        for folder in ("var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt",
                       "etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "tmp"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        self.bin.mkdir()
        cosign = self.bin / "cosign"
        cosign.write_text(COSIGN)
        cosign.chmod(0o755)
        self.publish()
        self.table(self.keys[1])
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(self.site)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.mirror = f"http://127.0.0.1:{server.server_address[1]}"

    def table(self, fingerprint: str):
        (self.dir / "table").write_text(
            f"apt vendor tool=vendor-tool,plugin=vendor-plugin https://apt.example.org/deb stable main https://apt.example.org/key.gpg {fingerprint}\n"
            f"release gadget 1.2.3 https://example.org/v{{v}} gadget_{{v}}_{{arch}}.tar.gz gadget_{{v}}_checksums.txt {SIGNER.replace('1.2.3', '{v}')}\n")

    def publish(self):
        """An apt repository with two packages, and a release of an archive."""
        apt = self.site / "apt.example.org"
        pool = apt / "deb/pool"
        pool.mkdir(parents=True)
        index = ""
        for package, program in (("vendor-tool", "tool"), ("vendor-plugin", "plugin")):
            tree = self.dir / "deb" / package
            shutil.rmtree(tree, ignore_errors=True)
            (tree / "usr/bin").mkdir(parents=True)
            (tree / "DEBIAN").mkdir()
            (tree / "usr/bin" / program).write_text(f"#!/bin/sh\necho {program} 1.0\n")
            (tree / "usr/bin" / program).chmod(0o755)
            control = f"Package: {package}\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: test\n"
            (tree / "DEBIAN/control").write_text(control)
            run("dpkg-deb", "--root-owner-group", "-b", str(tree), str(pool / f"{package}.deb"))
            data = (pool / f"{package}.deb").read_bytes()
            index += f"{control}Filename: pool/{package}.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        arch = run("dpkg", "--print-architecture").strip()
        self.suite = apt / "deb/dists/stable"
        folder = self.suite / f"main/binary-{arch}"
        folder.mkdir(parents=True)
        (folder / "Packages").write_text(index)
        digest = hashlib.sha256(index.encode()).hexdigest()
        (self.suite / "Release").write_text(f"Suite: stable\nCodename: stable\nArchitectures: {arch}\nComponents: main\nDate: {run('date', '-Ru').strip()}\n"
                                            f"SHA256:\n {digest} {len(index.encode())} main/binary-{arch}/Packages\n")
        self.sign(self.keys[0])
        with open(apt / "key.gpg", "w", encoding="ascii") as out:
            subprocess.run(["gpg", "--armor", "--export"], env={**os.environ, "GNUPGHOME": str(self.keys[0])}, stdout=out, check=True)
        self.release = self.site / "example.org/v1.2.3"
        self.release.mkdir(parents=True)
        gadget = self.dir / "gadget"
        gadget.write_text("#!/bin/sh\necho gadget 1.2.3\n")
        gadget.chmod(0o755)
        self.archive = self.release / f"gadget_1.2.3_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[os.uname().machine]}.tar.gz"
        run("tar", "-czf", str(self.archive), "-C", str(self.dir), "gadget")
        self.sums = self.release / "gadget_1.2.3_checksums.txt"
        self.sums.write_text(f"{hashlib.sha256(self.archive.read_bytes()).hexdigest()}  {self.archive.name}\n")
        self.sign_sums("good")

    def sign(self, home: Path):
        (self.suite / "InRelease").unlink(missing_ok=True)
        run("gpg", "--batch", "--clearsign", "-o", str(self.suite / "InRelease"), str(self.suite / "Release"), env={**os.environ, "GNUPGHOME": str(home)})

    def sign_sums(self, name: str):
        shutil.copy(self.dir / f"{name}.pem", f"{self.sums}.pem")
        run("openssl", "dgst", "-sha256", "-sign", str(self.dir / f"{name}.key"), "-out", f"{self.sums}.sig", str(self.sums))

    def install(self, *argv: str, code: int = 0) -> subprocess.CompletedProcess:
        env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "INFERD_ADMIN_TABLE": str(self.dir / "table"), "INFERD_ADMIN_ROOT": str(self.root),
               "INFERD_ADMIN_MIRROR": self.mirror, "FAKE_CA": str(self.dir / "good.pem"), "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
        done = subprocess.run([str(ROOT / "scripts/install_admin_tools.sh"), *argv], env=env, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def there(self) -> set[str]:
        return {p for p in ("usr/bin/tool", "usr/bin/plugin", "usr/local/bin/gadget") if (self.root / p).exists()}

    def refused(self, *words: str, there: set[str] = frozenset()):
        done = self.install(code=1)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(self.there(), there)

    def test_all_are_installed_once(self):
        self.assertEqual(self.install("--check", code=1).stdout.count("missing"), 3)
        done = self.install()
        self.assertEqual(done.stdout.count("installed"), 2)
        self.assertEqual(self.there(), {"usr/bin/tool", "usr/bin/plugin", "usr/local/bin/gadget"})
        self.assertEqual(run(str(self.root / "usr/local/bin/gadget")), "gadget 1.2.3\n")
        self.assertNotIn("missing", self.install("--check").stdout)
        shutil.rmtree(self.site)
        self.assertNotIn("installed", self.install().stdout, "a second run asks the network for nothing")

    def test_only_what_is_missing(self):
        self.install()
        (self.root / "usr/local/bin/gadget").unlink()
        self.assertEqual(self.install().stdout.count("installed"), 1)

    def test_a_key_of_somebody_else(self):
        self.table(self.others[1])
        self.refused(f"not {self.others[1]}")

    def test_a_repository_signed_by_somebody_else(self):
        self.sign(self.others[0])
        self.refused("apt does not accept")
        self.assertEqual(list((self.root / "etc/apt/sources.list.d").iterdir()), [])

    def test_an_index_changed_after_signing(self):
        for path in self.suite.rglob("Packages"):
            path.write_text(path.read_text().replace("Version: 1.0", "Version: 6.6"))
        self.refused("apt does not accept")

    def test_a_package_changed_after_signing(self):
        for path in self.site.rglob("*.deb"):
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        self.refused("apt could not install")

    APT = frozenset({"usr/bin/tool", "usr/bin/plugin"})

    def test_a_release_changed_after_signing(self):
        self.archive.write_bytes(self.archive.read_bytes() + b"x")
        self.refused("is not the file that its signed sums name", there=self.APT)

    def test_sums_changed_after_signing(self):
        self.archive.write_bytes(self.archive.read_bytes() + b"x")
        self.sums.write_text(f"{hashlib.sha256(self.archive.read_bytes()).hexdigest()}  {self.archive.name}\n")
        self.refused("is not signed by", "invalid signature", there=self.APT)

    def test_sums_signed_by_another_build(self):
        self.certificate(SIGNER.replace("vendor", "fork"), "fork")
        self.archive.write_bytes(self.archive.read_bytes() + b"x")
        self.sums.write_text(f"{hashlib.sha256(self.archive.read_bytes()).hexdigest()}  {self.archive.name}\n")
        self.sign_sums("fork")
        self.refused("is not signed by", there=self.APT)

    def test_sums_that_do_not_list_the_file(self):
        self.sums.write_text(self.sums.read_text().replace(self.archive.name, "other.tar.gz"))
        self.sign_sums("good")
        self.refused("does not list", there=self.APT)

    def test_no_signature_at_all(self):
        Path(f"{self.sums}.sig").unlink()
        self.refused("cannot fetch", there=self.APT)


class Table(unittest.TestCase):
    def test_it_names_every_tool_that_the_verbs_need(self):
        listed = (ROOT / "platform/admin-tools.txt").read_text()
        for tool in ("gcloud", "gke-gcloud-auth-plugin", "terraform", "kubectl", "helm", "flux", "k6", "sops", "age"):
            self.assertRegex(listed, rf"(?m)^(apt|debian) .*\b{tool}=|^release {tool} ", tool)

    def test_nothing_from_the_network_is_run_by_a_shell(self):
        for path in [*ROOT.glob("scripts/*.sh"), *ROOT.glob("platform/*.mk")]:
            self.assertNotRegex(path.read_text(), r"(curl|wget)[^\n]*\|\s*(sudo\s+)?(ba)?sh\b", path.name)
        self.assertRegex("curl -s https://example.org/install.sh | sudo bash", r"(curl|wget)[^\n]*\|\s*(sudo\s+)?(ba)?sh\b")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


if __name__ == "__main__":
    unittest.main()
