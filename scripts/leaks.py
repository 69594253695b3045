#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leaks.py FILE...: of LeakSanitizer's reports, those whose allocation went through inferd's extension. Exit 1 and
their stacks if there are any. An interpreter keeps much until its end that it never frees; that is not ours."""

from __future__ import annotations

import re
import sys
from pathlib import Path

OURS = re.compile(r"/(ext|engine/src/\w+)/\w+\.c:|_engine\.abi3\.so")
# Made once, when the module is imported, and kept by the interpreter as long as it lives.
ONCE = re.compile(r" in (module_exec|ext_\w+_init|make_class|PyInit__engine)\b")


def main() -> None:
    stacks = ours = 0
    for path in sys.argv[1:]:
        if not Path(path).exists():
            continue  # a pattern that no process matched
        for report in re.split(r"\n(?=(?:Direct|Indirect) leak)", Path(path).read_text(encoding="utf-8", errors="replace"))[1:]:
            stack = report.split("\n\n")[0]
            stacks += 1
            if OURS.search(stack) and not ONCE.search(stack):
                ours += 1
                print(f"{path}: {stack}\n", file=sys.stderr)
    print(f"leaks: {stacks} stacks, {ours} of the extension")
    if ours:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
