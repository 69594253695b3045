# SPDX-License-Identifier: Apache-2.0
"""The documentation against the program: each example runs, each link between files has its target.

An example is a fenced block of `sh` that names INFERD_URL, or whose fence says `run` as well. It is run
by bash -euo pipefail in the root of the tree, with INFERD_URL set to a live server and `inferd` in PATH;
it must succeed and print something.

INFERD_BIN is the binary, INFERD_DOCS_MODEL the model that is served.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BIN, Server  # noqa: E402

MODEL = os.environ.get("INFERD_DOCS_MODEL", str(ROOT / "models" / "sst2-minilm-l6"))
FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.M | re.S)
LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)|!\[[^\]]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$", re.M)


def documents() -> list[Path]:
    tracked = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                             capture_output=True, text=True)
    names = tracked.stdout.split() if tracked.returncode == 0 else [
        str(p.relative_to(ROOT)) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))]
    return [ROOT / n for n in names if (ROOT / n).exists()]


def examples(text: str) -> list[str]:
    return [m["body"] for m in FENCE.finditer(text)
            if m["info"].split()[:1] == ["sh"] and ("run" in m["info"].split() or "INFERD_URL" in m["body"])]


def anchors(text: str) -> set[str]:
    """As GitHub makes them: lower case, letters, digits, '-' and '_', spaces as '-', -1, -2 when it comes again."""
    seen: dict[str, int] = {}
    found = set()
    for title in HEADING.findall(FENCE.sub("", text)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        n = seen.get(slug, 0)
        seen[slug] = n + 1
        found.add(f"{slug}-{n}" if n else slug)
    return found


def dead_links(path: Path, text: str) -> list[str]:
    dead = []
    for m in LINK.finditer(FENCE.sub("", text)):
        target = m[1] or m[2]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            dead.append(f"{path}: {target}: there is no such file")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8") if name else text):
            dead.append(f"{path}: {target}: there is no such heading")
    return dead


class Links(unittest.TestCase):
    def test_every_link_has_its_target(self):
        paths = documents()
        self.assertGreater(len(paths), 10)
        dead = [d for p in paths for d in dead_links(p, p.read_text(encoding="utf-8"))]
        self.assertEqual(dead, [])

    def test_a_dead_one_is_found(self):
        at = ROOT / "docs" / "README.md"
        text = "# A b `c`\n\n[x](nowhere.md) [y](cli.md#no-such) [z](#a-b-c) [w](#a-b) ![i](no.svg) [ok](cli.md#options)\n"
        self.assertEqual([d.split(": ")[1] for d in dead_links(at, text)], ["nowhere.md", "cli.md#no-such", "#a-b", "no.svg"])
        self.assertEqual(dead_links(at, "```\n[x](nowhere.md)\n```\n"), [])

    def test_every_note_is_in_the_index(self):
        index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
        for path in (ROOT / "docs").glob("*.md"):
            if path.name != "README.md":
                self.assertIn(f"({path.name}", index)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(model=MODEL)
        cls.home = tempfile.TemporaryDirectory()
        place = Path(cls.home.name) / "bin"
        place.mkdir()
        (place / "inferd").symlink_to(BIN)
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")} | {
            "INFERD_URL": f"http://127.0.0.1:{cls.server.port}", "INFERD_MODEL": MODEL,
            "PATH": f"{place}:{os.environ['PATH']}", "HOME": cls.home.name}

    @classmethod
    def tearDownClass(cls) -> None:
        cls.home.cleanup()
        try:
            assert cls.server.stop() == 0
        finally:
            cls.server.close()

    def run_example(self, body: str):
        return subprocess.run(["bash", "-euo", "pipefail", "-c", body], cwd=ROOT, env=self.env, capture_output=True,
                              text=True, timeout=120)

    def test_every_example_runs(self):
        count = 0
        for path in documents():
            for body in examples(path.read_text(encoding="utf-8")):
                with self.subTest(f"{path.relative_to(ROOT)}: {body[:60]}"):
                    done = self.run_example(body)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertNotEqual(done.stdout.strip(), "")
                count += 1
        self.assertGreaterEqual(count, 7)

    def test_a_broken_one_is_found(self):
        text = '```sh\ncurl -sf "$INFERD_URL/nowhere"\n```\n```sh\nmake run\n```\n```sh run\ninferd version\n```\n'
        self.assertEqual(examples(text), ['curl -sf "$INFERD_URL/nowhere"\n', "inferd version\n"])
        self.assertNotEqual(self.run_example(examples(text)[0]).returncode, 0)
        self.assertNotEqual(self.run_example("false | cat").returncode, 0)


if __name__ == "__main__":
    unittest.main()
