#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bump_image.py NAME VERSION DIGEST: in the Kustomizations under platform/, let image NAME be that version and digest.

It edits the lines of the `images:` entry and no others, so comments and order stay. Exit 1 when no file names the image: a release that
reaches no manifest must not pass for one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def bump(text: str, name: str, version: str, digest: str) -> str:
    """The text with the entry `- name: NAME` of `images:` at that version and digest; unchanged without such an entry."""
    lines, out, inside, i = text.splitlines(keepends=True), [], False, 0
    while i < len(lines):
        line = lines[i]
        out.append(line)
        i += 1
        if re.match(r"\S", line):
            inside = line.startswith("images:")
        m = re.match(rf"(\s*)- name: ['\"]?{re.escape(name)}['\"]?\s*(#.*)?$", line)
        if not inside or not m:
            continue
        indent = m.group(1) + "  "
        entry = []
        while i < len(lines) and (lines[i].startswith(indent) or not lines[i].strip()):
            entry.append(lines[i])
            i += 1
        out += [e for e in entry if not re.match(r"\s*(newTag|digest):", e)]
        while out and not out[-1].strip():
            out.pop()
        out += [f"{indent}newTag: {version}\n", f"{indent}digest: {digest}\n"]
    return "".join(out)


def main() -> int:
    if len(sys.argv) != 4:
        print("usage: bump_image.py NAME VERSION DIGEST", file=sys.stderr)
        return 2
    name, version, digest = sys.argv[1:]
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not re.fullmatch(r"[0-9A-Za-z._-]{1,128}", version):
        print(f"bump-image: '{version}' and '{digest}' must be a tag and sha256: with 64 hexadecimal digits", file=sys.stderr)
        return 2
    changed = []
    named = False
    for path in sorted((ROOT / "platform").rglob("kustomization.yaml")):
        text = path.read_text(encoding="utf-8")
        new = bump(text, name, version, digest)
        named = named or f"digest: {digest}" in new
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path.relative_to(ROOT).as_posix())
    if not named:
        print(f"bump-image: no kustomization.yaml under platform/ names the image {name}", file=sys.stderr)
        return 1
    print(f"bump-image: {name} {version}: {', '.join(changed) or 'is there already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
