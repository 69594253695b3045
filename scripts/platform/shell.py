# SPDX-License-Identifier: Apache-2.0
"""Runs the tools of the platform, or with DRY_RUN=1 prints what would be run and runs nothing."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ADMIN_TOOLS = "scripts/install_admin_tools.sh installs it"


class Refusal(Exception):
    """A verb that cannot go on: what is wrong and what to do. Exit code 1."""


class Shell:
    def __init__(self, root: Path, dry_run: bool):
        self.root, self.dry_run = root, dry_run

    def need(self, *tools: str) -> None:
        missing = [t for t in tools if shutil.which(t) is None]
        if missing:
            raise Refusal("\n".join(f"{t} is not on PATH; {ADMIN_TOOLS}" for t in missing))

    def say(self, text: str) -> None:
        print(text, flush=True)

    def run(self, *argv: str, stdin: str | None = None, env: dict[str, str] | None = None) -> None:
        """Run a command that changes something, its output to the terminal. Raises Refusal when it fails."""
        line = shlex.join(argv)
        if self.dry_run:
            self.say(f"would run: {line}" + (f"  (stdin: {len(stdin)} bytes)" if stdin is not None else ""))
            return
        print(f"+ {line}", file=sys.stderr, flush=True)
        done = subprocess.run(argv, cwd=self.root, input=stdin, text=True, env=env, check=False)
        if done.returncode != 0:
            raise Refusal(f"`{line}` failed with code {done.returncode} (its message is above)")

    def ask(self, *argv: str, stdin: str | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess | None:
        """Run a command that only reads; None under DRY_RUN. The caller looks at the code."""
        if self.dry_run:
            self.say(f"would ask: {shlex.join(argv)}")
            return None
        return subprocess.run(argv, cwd=self.root, input=stdin, text=True, capture_output=True, env=env, check=False)

    def output(self, *argv: str, stdin: str | None = None, env: dict[str, str] | None = None) -> str | None:
        """`ask` for a command whose failure ends the verb: its output, or None under DRY_RUN."""
        done = self.ask(*argv, stdin=stdin, env=env)
        if done is None:
            return None
        if done.returncode != 0:
            raise Refusal(f"`{shlex.join(argv)}` failed with code {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done.stdout
