# SPDX-License-Identifier: Apache-2.0
"""Programs that a test runs beside itself: started with their output in a file, ended with the test."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


class Process:
    def __init__(self, folder: Path, argv: list[str], env: dict[str, str] | None = None):
        self.name = Path(argv[0]).name
        self.log = folder / f"{self.name}.log"
        self.file = self.log.open("ab")
        self.child = subprocess.Popen(argv, stdout=self.file, stderr=subprocess.STDOUT, cwd=folder, stdin=subprocess.DEVNULL,
                                      env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **(env or {})})

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def alive(self) -> bool:
        """True while it runs. Raises RuntimeError with the end of its output when it ended by itself."""
        if self.child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}: {self.text()[-3000:]}")
        return True

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.file.close()
