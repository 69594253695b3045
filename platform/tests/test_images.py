# SPDX-License-Identifier: Apache-2.0
"""The tool that writes container images: its rules with a bad twin of each, its bytes, its locks. Nothing is downloaded or built here;
test_image_builds.py builds the real images and runs them."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
import zlib
from pathlib import Path

from door import ROOT

sys.path.insert(0, str(ROOT / "scripts/images"))
import debian  # noqa: E402
import elf  # noqa: E402
import layer  # noqa: E402
import oci  # noqa: E402
import recipe as recipes  # noqa: E402
import sbom  # noqa: E402
import scan  # noqa: E402
import wheels  # noqa: E402
from tree import Entry, Tree, TreeError  # noqa: E402

EPOCH = 1_700_000_000


def tree(**files: bytes | str | int) -> Tree:
    """A tree of files by path, with __ for a slash: bytes are a file, str a link's target, int a folder's mode."""
    made = Tree()
    for name, value in files.items():
        path = "/" + name.replace("__", "/").replace("_dot_", ".")
        if isinstance(value, bytes):
            made.add(path, Entry("file", 0o644, value, source="test"))
        elif isinstance(value, str):
            made.add(path, Entry("link", 0o777, target=value, source="test"))
        else:
            made.add(path, Entry("dir", value, source="test"))
    return made


def shared_object(needed: list[str] = (), soname: str = "", runpath: str = "", interpreter: str = "", wants: dict[str, str] | None = None,
                  defines: list[str] = (), machine: int = 62) -> bytes:
    """A small ELF file with that dynamic section: what a linker would write, as far as the dynamic linker reads it."""
    strings, at = bytearray(b"\0"), {}

    def text(value: str) -> int:
        if value not in at:
            at[value] = len(strings)
            strings.extend(value.encode() + b"\0")
        return at[value]

    tags = [(elf.DT_NEEDED, text(n)) for n in needed]
    if soname:
        tags.append((elf.DT_SONAME, text(soname)))
    if runpath:
        tags.append((elf.DT_RUNPATH, text(runpath)))
    verneed = b""
    for i, (library, version) in enumerate((wants or {}).items()):
        last = i == len(wants) - 1
        verneed += struct.pack("<HHIII", 1, 1, text(library), 16, 0 if last else 32) + struct.pack("<IHHII", 0, 0, 2, text(version), 0)
    verdef = b"".join(struct.pack("<HHHHIII", 1, 0, i + 1, 1, 0, 20, 0 if i == len(defines) - 1 else 28) + struct.pack("<II", text(d), 0)
                      for i, d in enumerate(defines))
    interp = interpreter.encode() + b"\0" if interpreter else b""
    count = 3 if interpreter else 2
    base = 64 + 56 * count
    strtab = base + len(interp)
    need_at = strtab + len(strings)
    def_at = need_at + len(verneed)
    dynamic_at = def_at + len(verdef)
    if verneed:
        tags += [(elf.DT_VERNEED, need_at), (elf.DT_VERNEEDNUM, len(wants))]
    if verdef:
        tags += [(elf.DT_VERDEF, def_at), (elf.DT_VERDEFNUM, len(defines))]
    tags += [(elf.DT_STRTAB, strtab), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *t) for t in tags)
    whole = dynamic_at + len(dynamic)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    programs = struct.pack("<IIQQQQQQ", elf.PT_LOAD, 4, 0, 0, 0, whole, whole, 0) + struct.pack("<IIQQQQQQ", elf.PT_DYNAMIC, 4, dynamic_at, dynamic_at, 0, len(dynamic), len(dynamic), 0)
    if interpreter:
        programs += struct.pack("<IIQQQQQQ", elf.PT_INTERP, 4, base, base, 0, len(interp), len(interp), 0)
    return head + programs + interp + bytes(strings) + verneed + verdef + dynamic


def small_root() -> Tree:
    """A program, the library it needs at the version it needs, and the dynamic linker."""
    root = tree(usr__lib__x86_64_minus_linux_minus_gnu=0o755)
    root.entries.clear()
    libraries = "/usr/lib/x86_64-linux-gnu"
    root.add("/usr/bin/program", Entry("file", 0o755, shared_object(["libx.so.1"], interpreter="/lib64/ld-linux-x86-64.so.2", wants={"libx.so.1": "X_2"})))
    root.add(f"{libraries}/libx.so.1.0", Entry("file", 0o644, shared_object(soname="libx.so.1", defines=["libx.so.1", "X_1", "X_2"])))
    root.add(f"{libraries}/libx.so.1", Entry("link", 0o777, target="libx.so.1.0"))
    root.add(f"{libraries}/ld-linux-x86-64.so.2", Entry("file", 0o755, shared_object(soname="ld-linux-x86-64.so.2")))
    root.add("/usr/lib64/ld-linux-x86-64.so.2", Entry("link", 0o777, target="/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"))
    for name in ("lib", "lib64"):
        root.add(f"/{name}", Entry("link", 0o777, target=f"usr/{name}"))
    return root


class Trees(unittest.TestCase):
    def test_a_file_has_one_name(self):
        t = tree()
        t.add("./lib/x/a", Entry("file", data=b"1"))
        self.assertIn("/usr/lib/x/a", t.entries)
        with self.assertRaisesRegex(TreeError, "leaves the root"):
            t.add("../etc/passwd", Entry("file"))
        with self.assertRaisesRegex(TreeError, "differs in"):
            t.add("/usr/lib/x/a", Entry("file", data=b"2"))
        t.add("/usr/lib/x/a", Entry("file", data=b"1"))

    def test_links_are_followed_inside_the_root_only(self):
        t = small_root()
        self.assertEqual(t.resolve("/lib64/ld-linux-x86-64.so.2"), "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
        t.add("/a", Entry("link", target="b"))
        t.add("/b", Entry("link", target="a"))
        self.assertIsNone(t.resolve("/a"))
        t.add("/c", Entry("link", target="../../../../usr/bin/program"))
        self.assertEqual(t.resolve("/c"), "/usr/bin/program")

    def test_prune_takes_emptied_folders_along_and_keeps_wanted_ones(self):
        t = tree(a__b__c=b"", a__d=b"", tmp=0o1777)
        self.assertEqual(t.prune([], ["/a/b/*"]), 1)
        self.assertEqual(sorted(t.entries), ["/a", "/a/d", "/tmp"])


class Bytes(unittest.TestCase):
    def test_the_same_tree_in_any_order_is_the_same_bytes(self):
        names = [f"/d{i % 7}/f{i}" for i in range(50)]
        packed = set()
        for seed in range(3):
            random.Random(seed).shuffle(names)
            t = Tree()
            for name in names:
                t.add(name, Entry("file", 0o644, name.encode()))
            packed.add(layer.gzip_bytes(layer.tar_bytes(t, EPOCH)))
        self.assertEqual(len(packed), 1)
        other = layer.gzip_bytes(layer.tar_bytes(t, EPOCH + 1))
        self.assertNotIn(other, packed, "a time that changes must change the bytes, or this compares nothing")
        tar = zlib.decompress(packed.pop(), 16 + zlib.MAX_WBITS)
        for member in tarfile.open(fileobj=io.BytesIO(tar)):
            self.assertEqual((member.uid, member.gid, member.uname, member.gname, member.mtime), (0, 0, "", "", EPOCH), member.name)

    def test_a_cached_layer_that_rotted_is_packed_again(self):
        tar = layer.tar_bytes(small_root(), EPOCH)
        with tempfile.TemporaryDirectory() as folder:
            right = layer.compressed(tar, Path(folder))
            (held,) = Path(folder).iterdir()
            self.assertEqual(layer.compressed(tar, Path(folder)), right)
            held.write_bytes(layer.gzip_bytes(b"something else"))
            self.assertEqual(layer.compressed(tar, Path(folder)), right)

    def layout(self, folder: Path) -> oci.Reader:
        t, made = small_root(), oci.Layout()
        tar = layer.tar_bytes(t, EPOCH)
        packed = [oci.Layer("base", f"sha256:{layer.sha256(tar)}", layer.gzip_bytes(tar))]
        both = [made.image(oci.Platform(arch, {"User": "65532"}, packed), sbom.timestamp(EPOCH), {"k": "v"}) for arch in ("amd64", "arm64")]
        made.write(folder, made.index(both, {"k": "v"}), "1.2.3")
        return oci.Reader(folder)

    def test_a_layout_reads_back_and_a_flipped_bit_does_not(self):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "image"
            reader = self.layout(folder)
            self.assertEqual(reader.top()[0], "1.2.3")
            self.assertEqual(sorted(reader.platforms()), ["amd64", "arm64"])
            self.assertEqual(reader.platforms()["arm64"]["platform"], {"architecture": "arm64", "os": "linux", "variant": "v8"})
            want = {p: (e.kind, e.mode if e.kind != "link" else 0o777, e.data, e.target) for p, e in small_root().entries.items()}
            got = {p: (e.kind, e.mode, e.data, e.target) for p, e in reader.tree("amd64").entries.items()}
            self.assertEqual(got, want)
            first = oci.archive(folder, EPOCH)
            shutil.rmtree(folder)
            self.layout(folder)
            self.assertEqual(oci.archive(folder, EPOCH), first)
            blobs = sorted((folder / "blobs/sha256").iterdir())
            self.assertEqual(len(blobs), 6)  # one layer, two configurations, two manifests, one index
            for blob in blobs:
                held = blob.read_bytes()
                blob.write_bytes(bytes([held[0] ^ 1]) + held[1:])
                with self.assertRaises((ValueError, KeyError)):
                    for arch in ("amd64", "arm64"):
                        reader.tree(arch)
                blob.write_bytes(held)


class ElfFiles(unittest.TestCase):
    def test_a_whole_root_lacks_nothing(self):
        self.assertEqual(elf.Closure(small_root()).missing(), [])

    def test_this_machines_own_program_is_read_as_readelf_reads_it(self):
        path = Path("/bin/bash")
        shown = subprocess.run(["readelf", "-d", str(path)], capture_output=True, text=True, check=True).stdout
        self.assertEqual(elf.parse(path.read_bytes()).needed, re.findall(r"\(NEEDED\).*\[(.+?)\]", shown))
        versions = subprocess.run(["readelf", "-V", str(path)], capture_output=True, text=True, check=True).stdout
        self.assertEqual(sorted(v for vs in elf.parse(path.read_bytes()).wants.values() for v in vs), sorted(set(re.findall(r"Name: (\S+)  Flags: none", versions))))

    def test_what_is_missing_is_named(self):
        twins = {
            "needs libx.so.1, which is in none": lambda t: t.entries.pop("/usr/lib/x86_64-linux-gnu/libx.so.1.0"),
            "wants the interpreter": lambda t: t.entries.pop("/usr/lib64/ld-linux-x86-64.so.2"),
            "needs X_2 of libx.so.1, which .* does not define": lambda t: t.add(
                "/usr/lib/x86_64-linux-gnu/libx.so.1.0", Entry("file", 0o644, shared_object(soname="libx.so.1", defines=["libx.so.1", "X_1"])), replace=True),
            "2 architectures": lambda t: t.add("/usr/bin/other", Entry("file", 0o755, shared_object(machine=183))),
        }
        for want, spoil in twins.items():
            root = small_root()
            spoil(root)
            self.assertRegex("\n".join(elf.Closure(root).missing()), want)

    def test_run_paths_are_followed_from_the_file(self):
        root = small_root()
        root.add("/opt/pkg/ext.so", Entry("file", 0o644, shared_object(["liby.so"], runpath="$ORIGIN/../pkg.libs")))
        self.assertIn("liby.so", "\n".join(elf.Closure(root).missing()))
        root.add("/opt/pkg.libs/liby.so", Entry("file", 0o644, shared_object(soname="liby.so")))
        self.assertEqual(elf.Closure(root).missing(), [])

    def test_a_damaged_file_is_refused_not_passed_over(self):
        data = bytearray((small_root()).entries["/usr/bin/program"].data)
        struct.pack_into("<Q", data, len(data) - 24, 1 << 40)  # its string table's address
        with self.assertRaisesRegex(ValueError, "damaged"):
            elf.parse(bytes(data))


class Rules(unittest.TestCase):
    def test_a_clean_root_has_no_fault(self):
        self.assertEqual(scan.faults(small_root(), ["/usr/bin/program"]), [])

    def test_each_rule_has_a_twin_that_it_catches(self):
        key = "-----BEGIN " + "PRIVATE KEY-----\n" + "A" * 64 + "\n"
        twins = {
            "set-id bit": ("/usr/bin/program", Entry("file", 0o4755, b"\x7fELF")),
            "writable by everybody": ("/etc/x", Entry("file", 0o666)),
            "is not there": ("/etc/x", Entry("link", target="nowhere")),
            "belongs to a cache": ("/var/cache/apt/pkgcache.bin", Entry("file")),
            "secret by its name": ("/app/.env", Entry("file", data=b"X=1")),
            "looks like a secret": ("/etc/x", Entry("file", data=key.encode())),
            "names the folder": ("/usr/lib/x", Entry("file", data=b"...\0/home/me/tree/engine/src/x.c\0")),
            "program that the recipe does not name": ("/usr/bin/sh", Entry("file", 0o755, shared_object())),
            "program that the recipe": ("/usr/bin/tool", Entry("file", 0o755, b"#!/bin/sh\n")),
        }
        for want, (path, entry) in twins.items():
            root = small_root()
            root.add(path, entry, replace=True)
            self.assertIn(want, "\n".join(scan.faults(root, ["/usr/bin/program"], "/home/me/tree")), want)

    def test_a_sticky_tmp_is_no_fault(self):
        root = small_root()
        root.add("/tmp", Entry("dir", 0o1777))
        self.assertEqual(scan.faults(root, ["/usr/bin/program"]), [])

    def test_a_root_user_is_refused(self):
        for user, ok in (("65532:65532", True), ("0", False), ("root", False), ("", False)):
            found = recipes.check({"programs": ["/usr/bin/program"], "config": {"User": user}}, small_root())
            self.assertEqual(not found, ok, f"{user}: {found}")


class Locks(unittest.TestCase):
    def test_each_recipe_has_locks_of_what_it_names(self):
        self.assertEqual(recipes.names(), ["inferd", "inferd-ray"])
        for name in recipes.names():
            recipe = recipes.load(name)
            for arch in recipe["architectures"]:
                locked = debian.read_lock(recipes.debian_lock(recipe, arch))
                self.assertEqual(sorted(p.name for p in locked), recipes.debian_names(recipe), f"{name} {arch}")
                self.assertEqual({p.arch for p in locked} - {"all"}, {arch})

    def test_ray_in_the_image_is_ray_as_tested(self):
        tested = dict(line.lower().split("==") for line in (ROOT / "python/requirements-ray.txt").read_text().splitlines() if "==" in line)
        locked = wheels.read_lock(ROOT / "platform/images/inferd-ray/wheels-amd64.lock")
        self.assertEqual(locked["ray"][0], "2.60.0")
        self.assertGreater(len(locked), 60)
        for name, (version, _) in locked.items():
            name = name.lower()
            self.assertEqual(tested.get(name, tested.get(name.replace("-", "_"))), version, f"{name}: run make image-lock")

    def test_a_malformed_lock_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.lock"
            path.write_text("libc6 2.36 amd64\n")
            with self.assertRaisesRegex(debian.DebianError, "x.lock:1"):
                debian.read_lock(path)
            path.write_text("ray==2.60.0\n")
            with self.assertRaisesRegex(wheels.WheelError, "x.lock:1"):
                wheels.read_lock(path)

    def test_a_package_of_another_hash_is_refused_and_deleted(self):
        with tempfile.TemporaryDirectory() as folder:
            archive = debian.Archive(Path(folder), "amd64")
            package = debian.Package("p", "1", "amd64", "0" * 64)
            held = archive.cache / "p_1_amd64.deb"
            archive._apt = lambda program, *argv, cwd=None: (held.write_bytes(b"not it"), subprocess.CompletedProcess([], 0, "", ""))[1]
            with self.assertRaisesRegex(debian.DebianError, "the lock says 0000"):
                archive.fetch(package)
            self.assertFalse(held.exists())


class Wheels(unittest.TestCase):
    def test_a_wheel_is_laid_out_as_an_installer_would(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pkg-1.0-py3-none-any.whl"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("pkg/__init__.py", "def main(): return 0\n")
                archive.writestr("pkg-1.0.data/scripts/tool", "#!python\nprint(1)\n")
                archive.writestr("pkg-1.0.dist-info/METADATA", "Metadata-Version: 2.4\nName: pkg\nVersion: 1.0\nLicense-Expression: MIT\n")
                archive.writestr("pkg-1.0.dist-info/entry_points.txt", "[console_scripts]\nrun = pkg:main\n")
            t = Tree()
            wheel = wheels.unpack(path, t)
            self.assertEqual((wheel.name, wheel.version, wheel.licence), ("pkg", "1.0", "MIT"))
            self.assertTrue(t.entries["/usr/local/bin/tool"].data.startswith(b"#!/usr/bin/python3\n"))
            self.assertEqual(t.entries["/usr/local/bin/run"].mode, 0o755)
            self.assertIn(b"from pkg import main", t.entries["/usr/local/bin/run"].data)
            self.assertIn(f"{wheels.SITE}/pkg/__init__.py", t.entries)


class Bills(unittest.TestCase):
    def test_the_bill_names_everything_once_and_repeats(self):
        parts = [sbom.debian("libc6", "1:2.36-9+deb12u14", "amd64", "a" * 64), sbom.pypi("MarkupSafe", "3.0.4", "b" * 64, "BSD-3-Clause")]
        text = sbom.document("inferd", "0.1.0", "amd64", "sha256:" + "c" * 64, parts, EPOCH)
        self.assertEqual(text, sbom.document("inferd", "0.1.0", "amd64", "sha256:" + "c" * 64, parts[::-1], EPOCH))
        bill = json.loads(text)
        self.assertEqual(bill["spdxVersion"], "SPDX-2.3")
        purls = [p["externalRefs"][0]["referenceLocator"] for p in bill["packages"]]
        self.assertIn("pkg:deb/debian/libc6@1%3A2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12", purls)
        self.assertIn("pkg:pypi/markupsafe@3.0.4", purls)
        with self.assertRaisesRegex(ValueError, "no primaryPackagePurpose DATA"):
            sbom.Component("model", "1", "pkg:generic/model@1", purpose="DATA")
        ids = [p["SPDXID"] for p in bill["packages"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual({r["relatedSpdxElement"] for r in bill["relationships"]}, set(ids))


if __name__ == "__main__":
    unittest.main()
