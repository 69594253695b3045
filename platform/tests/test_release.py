# SPDX-License-Identifier: Apache-2.0
"""make release: the same bytes from two trees, and what the files do where they are installed. Needs root and mmdebstrap; long.

RELEASE_PARTS="source deb", RELEASE_IMAGES=inferd and IMAGE_ARCH=amd64 leave the others out of the two builds; what was compared is printed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

from door import ROOT

CACHE = Path(os.environ.get("INFERD_IMAGE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferd/images")
PARTS = os.environ.get("RELEASE_PARTS", "source deb wheel sdist images")
DEPENDS = ("libssl3", "libutf8proc2", "libuv1", "systemd")
EXPOSURE = 2.0  # systemd-analyze security: 0 is nothing to take away, 10 is everything open


def run(*argv: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, code: int | None = 0) -> str:
    done = subprocess.run([str(a) for a in argv], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{' '.join(map(str, argv))}: code {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout + done.stderr


def copy_of_the_tree(folder: Path, umask: int) -> Path:
    """What git tracks and would track, as a release's source tarball has it, with the modes that this umask leaves."""
    folder.mkdir(parents=True)
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True).stdout.split(b"\0")
    for name in (n.decode() for n in names if n):
        at = folder / name
        if not (ROOT / name).is_file():
            continue
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, at)
        at.chmod((0o777 if os.access(ROOT / name, os.X_OK) else 0o666) & ~umask)
    version = run(ROOT / "scripts/source-id.sh").split()
    (folder / ".source-id").write_text(f"{version[1]} {version[2].removesuffix('-dirty')}\n")
    for shared in (".venv", "build/sysroot-arm64"):  # made from the registries, not from the tree; asked for again where they are missing
        if (ROOT / shared).exists():
            (folder / shared).parent.mkdir(exist_ok=True)
            (shutil.copytree(ROOT / shared, folder / shared, symlinks=True) if shared.startswith("build") else (folder / shared).symlink_to(ROOT / shared))
    return folder


class Twice(unittest.TestCase):
    def release(self, tree: Path, parts: str, umask: int, **more: str) -> dict[str, str]:
        """file -> SHA-256. Downloads are shared with this machine's cache; packed layers are not, or the second build would copy the first's."""
        cache = tree.parent / f"cache-{tree.name}"
        cache.mkdir(exist_ok=True)
        for shared in ("debian", "wheels", "apt-amd64", "apt-arm64"):
            if (CACHE / shared).exists() and not (cache / shared).exists():
                (cache / shared).symlink_to(CACHE / shared)
        env = {**os.environ, "INFERD_IMAGE_CACHE": str(cache), "RELEASE_PARTS": parts, "PYTHONDONTWRITEBYTECODE": "1", **more}
        done = subprocess.run(["bash", "-c", f"umask {umask:03o} && scripts/release.sh"], cwd=tree, env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-4000:])
        return {name: digest for digest, name in (line.split("  ", 1) for line in (tree / "dist/release/SHA256SUMS").read_text().splitlines())}

    def test_two_trees_give_the_same_bytes(self):
        folder = Path(tempfile.mkdtemp(prefix="release-"))
        self.addCleanup(shutil.rmtree, folder, True)
        one = copy_of_the_tree(folder / "one", 0o022)
        two = copy_of_the_tree(folder / "elsewhere and deeper".replace(" ", "-") / "two", 0o077)
        first = self.release(one, PARTS, 0o022, TZ="Pacific/Auckland", LANG="C.UTF-8")
        second = self.release(two, PARTS, 0o077, TZ="America/New_York", LANG="de_DE.UTF-8", HOME=os.environ["HOME"], USER="somebody")
        for name in sorted(first | second):
            print(f"  {first.get(name, 'missing')[:16]} {second.get(name, 'missing')[:16]} {name}")
        self.assertEqual(first, second)
        expected = {"source": r"inferd-[\d.]+\.tar\.gz", "deb": r"inferd_[\d.]+_amd64\.deb", "wheel": r"python/inferd-.*\.whl", "sdist": r"python/inferd-[\d.]+\.tar\.gz",
                    "images": r"inferd-[\d.]+\.oci\.tar"}
        for part in PARTS.split():
            self.assertTrue([n for n in first if re.fullmatch(expected[part], n)], part)
        # a comparison that cannot fail compares nothing: another commit's time gives other bytes
        other = self.release(one, "source", 0o022, SOURCE_DATE_EPOCH="1700000000")
        (name,) = other
        if name in first:
            self.assertNotEqual(other[name], first[name])


class Debian(unittest.TestCase):
    """The package in a Debian 12 of its own."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
            raise AssertionError("needs root and mmdebstrap (scripts/setup.sh release release-test)")
        cls.folder = Path(tempfile.mkdtemp(prefix="deb-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        run(ROOT / "scripts/release.sh", env={**os.environ, "RELEASE_PARTS": "deb", "RELEASE_OUT": str(cls.folder / "out")})
        (cls.deb,) = (cls.folder / "out").glob("*_amd64.deb")
        cls.base = CACHE / "chroot-bookworm.tar"
        if not cls.base.exists():
            cls.base.parent.mkdir(parents=True, exist_ok=True)
            sources = [p for p in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list") if Path(p).exists()][:1]
            run("mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(DEPENDS)}", "bookworm", f"{cls.base}.part.tar", *sources)
            Path(f"{cls.base}.part.tar").replace(cls.base)

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="root-", dir=self.folder))
        run("tar", "--extract", "--file", self.base, "--directory", self.root, "--exclude=./dev/*")
        (self.root / "dev/null").touch()
        shutil.copy(self.deb, self.root / "inferd.deb")

    def inside(self, *argv: str, code: int | None = 0) -> str:
        # with /proc, by which inferd finds the model beside its executable
        return run("unshare", "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', self.root, *argv, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}, code=code)

    def test_installed_it_answers_and_purged_it_is_gone(self):
        self.inside("dpkg", "--install", "/inferd.deb")
        self.assertRegex((self.root / "etc/passwd").read_text(), r"(?m)^inferd:.*:/usr/sbin/nologin$")
        self.assertEqual(self.inside("dpkg", "--verify", "inferd"), "")
        said = self.inside("setpriv", "--reuid=inferd", "--regid=inferd", "--clear-groups", "/usr/bin/inferd", "classify", "--json", "I love this!", "This is awful.")
        self.assertEqual(re.findall(r'"label":"(\w+)"', said), ["POSITIVE", "NEGATIVE"])
        # what was changed in the configuration survives the same version and a removal, and not a purge
        conf = self.root / "etc/inferd/inferd.env"
        conf.write_text(conf.read_text() + "INFERD_PORT=9000\n")
        self.inside("dpkg", "--force-confold", "--install", "/inferd.deb")
        self.assertIn("INFERD_PORT=9000", conf.read_text())
        self.inside("dpkg", "--remove", "inferd")
        self.assertTrue(conf.exists())
        self.assertFalse((self.root / "usr/bin/inferd").exists())
        self.inside("dpkg", "--purge", "inferd")
        left = [p for p in self.root.rglob("*inferd*") if "var/lib/dpkg" not in str(p) and "var/log" not in str(p) and p.name != "inferd.deb"]
        self.assertEqual(left, [])

    def test_it_names_what_it_needs(self):
        self.inside("dpkg", "--remove", "--force-depends", "libuv1")
        self.assertIn("libuv1", self.inside("dpkg", "--install", "/inferd.deb", code=1))
        fields = run("dpkg-deb", "--field", self.deb)
        for library in DEPENDS[:3]:
            self.assertRegex(fields, rf"Depends:.*\b{library} \(>= [\d.]+")

    def test_the_unit_is_right_and_tight(self):
        self.inside("dpkg", "--install", "/inferd.deb")
        self.assertEqual(self.inside("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/inferd.service"), "")
        unit = self.root / "lib/systemd/system/inferd.service"
        text = unit.read_text()
        unit.write_text(text.replace("ProtectSystem=strict", "ProtectSystem=strickt"))
        self.assertIn("strickt", self.inside("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/inferd.service", code=None))
        unit.write_text(text)

        def exposure() -> float:
            shown = self.inside("systemd-analyze", "security", "--offline=true", "--no-pager", "inferd.service", code=None)
            return float(re.search(r"Overall exposure level for inferd.service: ([\d.]+)", shown).group(1))

        tight = exposure()
        print(f"  systemd-analyze security: {tight} of 10")
        self.assertLessEqual(tight, EXPOSURE)
        unit.write_text(re.sub(r"(?m)^(CapabilityBoundingSet|PrivateUsers|SystemCallFilter|ProtectSystem|NoNewPrivileges)=.*\n", "", text))
        self.assertGreater(exposure(), EXPOSURE)

    def test_lintian_finds_no_error(self):
        said = run("lintian", "--allow-root", "--fail-on", "error", self.deb)
        self.assertNotIn("E: ", said)
        run("dpkg-deb", "--raw-extract", self.deb, self.root / "raw")
        (self.root / "raw/usr/share/doc/inferd/copyright").unlink()
        run("dpkg-deb", "--build", self.root / "raw", self.root / "twin.deb")
        self.assertIn("E: inferd: no-copyright-file", run("lintian", "--allow-root", "--fail-on", "error", self.root / "twin.deb", code=2))

    def test_the_arm64_package_is_one(self):
        debs = list((self.folder / "out").glob("*_arm64.deb"))
        self.assertEqual(len(debs), 1)
        self.assertIn("Architecture: arm64", run("dpkg-deb", "--field", debs[0]))
        run("dpkg-deb", "--extract", debs[0], self.root / "arm")
        self.assertIn("AArch64", run("readelf", "-h", self.root / "arm/usr/bin/inferd"))


class Sources(unittest.TestCase):
    def test_the_sdist_builds_where_only_it_is(self):
        with tempfile.TemporaryDirectory(prefix="sdist-") as temporary:
            folder = Path(temporary)
            run(ROOT / "scripts/sdist.sh", folder)
            (archive,) = folder.glob("inferd-*.tar.gz")
            with tarfile.open(archive) as tar:
                names = tar.getnames()
            self.assertFalse([n for n in names if "rayops" in n or "/tests/" in n or n.endswith(".pyc")])
            run(sys.executable, "-m", "venv", folder / "venv")
            run(folder / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", archive, cwd=folder)
            said = run(folder / "venv/bin/python", "-c", "import inferd, sys\nprint([r.label for r in inferd.Model(sys.argv[1]).classify(['I love this!'])])",
                       ROOT / "models/sst2-minilm-l6", cwd=folder)
            self.assertEqual(said, "['POSITIVE']\n")

    def test_versions_agree(self):
        version = run(ROOT / "scripts/source-id.sh").split()[0]
        self.assertIn(f'version = "{version}"', (ROOT / "python/pyproject.toml").read_text())


if __name__ == "__main__":
    unittest.main()
