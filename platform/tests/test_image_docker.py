# SPDX-License-Identifier: Apache-2.0
"""`make image` where docker makes it: the same image as without docker, from what docker would be given.

No docker daemon is needed: a stand-in named docker takes the command line of scripts/image.sh and does what platform/images/Dockerfile
says: its context without what .dockerignore names, its build arguments, its RUN lines, what its last stage copies out. It is this Debian
12 that the lines run on, so what it cannot show: that the base image has the packages of the first RUN line, which it checks by name
alone, and that docker itself accepts the file.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/images"))
import oci  # noqa: E402

BASE, BRINGS = "debian:12-slim", {"ca-certificates", "git", "make", "python3", "python3-venv"}


class BuildError(Exception):
    """The line of the Dockerfile or of the command that cannot be done, and why."""


def instructions(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", "", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    return [(word.upper(), rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in joined.splitlines() if line.strip())]


def ignored(name: str, patterns: list[str]) -> bool:
    """Docker's rule for the patterns without `!`: from the root of the context, `**/` in any folder, and all that is below a match."""
    parts = name.split("/")
    above = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
    return any(fnmatch.fnmatchcase(a.rpartition("/")[2] if p.startswith("**/") else a, p.removeprefix("**/")) for a in above for p in patterns)


def copy_context(context: Path, to: Path) -> None:
    patterns = [line for line in (context / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    for folder, folders, files in os.walk(context):
        under = Path(folder).relative_to(context)
        folders[:] = [f for f in folders if not ignored((under / f).as_posix(), patterns)]
        (to / under).mkdir(parents=True, exist_ok=True)
        for name in files:
            if not ignored((under / name).as_posix(), patterns):
                shutil.copy2(context / under / name, to / under / name, follow_symlinks=False)


def build(argv: list[str], stage: Path) -> None:
    """docker build --file F --build-arg K=V... --output type=local,dest=D CONTEXT, in the folder `stage` for the root of the first stage."""
    given, options, context = {}, {}, Path(argv[-1])
    for option, value in zip(argv[:-1:2], argv[1:-1:2]):
        if option == "--build-arg":
            key, _, given[key] = value.partition("=")
        else:
            options[option] = value
    if set(options) != {"--file", "--output"}:
        raise BuildError(f"options {sorted(options)}: the stand-in knows --file, --build-arg and --output")
    dest = Path(options["--output"].removeprefix("type=local,dest="))
    environment, at, froms = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}, stage, []
    lines = instructions(Path(options["--file"]).read_text(encoding="utf-8"))
    undeclared = set(given) - {rest.partition("=")[0] for word, rest in lines if word == "ARG"}
    if undeclared:
        raise BuildError(f"build arguments that the Dockerfile does not declare: {', '.join(sorted(undeclared))}")
    for word, rest in lines:
        if word == "FROM":
            froms.append(rest)
        elif word == "WORKDIR":
            at = stage / rest.lstrip("/")
            at.mkdir(parents=True)
        elif word == "ARG":
            key, has_default, default = rest.partition("=")
            if key in given or has_default:
                environment[key] = given.get(key, default.strip('"'))
        elif word == "RUN" and rest.startswith("apt-get update && apt-get install "):
            if not BRINGS <= set(rest.split()):
                raise BuildError(f"RUN {rest}: does not install {BRINGS - set(rest.split())}")
        elif word == "RUN" and at != stage:
            done = subprocess.run(["/bin/sh", "-c", rest], cwd=at, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BuildError(f"RUN {rest}: code {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        elif (word, rest) == ("COPY", ". ."):
            copy_context(context, at)
        elif word == "COPY" and (m := re.fullmatch(r"--from=(\w+) (/\S+) /", rest)) and f"{BASE} AS {m.group(1)}" in froms and froms[-1] == "scratch":
            shutil.copytree(stage / m.group(2).lstrip("/"), dest, dirs_exist_ok=True)
        else:
            raise BuildError(f"{word} {rest}: the stand-in does not know it")


class Docker(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="docker-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        shim = self.folder / "bin/docker"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -B "{Path(__file__).resolve()}" "{self.folder}/stage" "$@"\n')
        shim.chmod(0o755)
        self.env = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "IMAGE_ARCH": "amd64"}

    def image(self, tree: Path, out: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["scripts/image.sh", "inferd"], cwd=tree, env={**self.env, "IMAGE_OUT": str(self.folder / out), **more}, capture_output=True, text=True,
                              check=False)

    def test_docker_makes_the_same_image(self):
        for out, more in (("native", {}), ("docker", {"IMAGE_ENGINE": "docker"})):
            done = self.image(ROOT, out, **more)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / "stage/src/dist/images/inferd").is_dir(), "it was not made by the Dockerfile's lines")
        native, docker = (oci.Reader(self.folder / out / "inferd").top() for out in ("native", "docker"))
        print(f"inferd by image.sh {native[1]['digest'][:23]}, by the Dockerfile's lines {docker[1]['digest'][:23]}")
        self.assertEqual(native, docker)
        for name in ("native", "docker"):
            self.assertTrue((self.folder / name / "inferd-amd64.spdx.json").is_file())

    def test_a_dockerfile_that_lacks_something_is_refused(self):
        tree = self.folder / "tree"
        copy_context(ROOT, tree)
        (tree / ".source-id").write_text("1700000000 0123456789abcdef\n")
        path = tree / "platform/images/Dockerfile"
        good = path.read_text(encoding="utf-8")
        for old, new, why in (("ARG REVISION\n", "", "does not declare: REVISION"), (" python3-venv", "", "python3-venv"), ('>.source-id', ">.source", "source-id: neither"),
                              ("COPY . .\n", "COPY scripts scripts\n", "does not know it")):
            self.assertIn(old, good)
            path.write_text(good.replace(old, new), encoding="utf-8")
            # what docker is given is the tree of a checkout, whose name and date come as arguments alone
            (tree / ".dockerignore").write_text((ROOT / ".dockerignore").read_text() + ".source-id\n")
            shutil.rmtree(self.folder / "stage", True)
            done = self.image(tree, "twin", IMAGE_ENGINE="docker")
            self.assertNotEqual(done.returncode, 0, why)
            self.assertIn(why, done.stderr)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[2] == "info":
        sys.exit(0)
    if len(sys.argv) > 3 and sys.argv[2] == "build":
        try:
            Path(sys.argv[1]).mkdir()
            build(sys.argv[3:], Path(sys.argv[1]))
        except BuildError as e:
            sys.exit(f"docker (stand-in): {e}")
        sys.exit(0)
    unittest.main()
