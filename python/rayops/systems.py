# SPDX-License-Identifier: Apache-2.0
"""The systems that are compared: each a process tree that answers POST /infer on a port of ours."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from local import ROOT, descendants, free_port, kind_of

HERE = Path(__file__).resolve().parent
BIN = ROOT / "build" / "inferd"
TORCH_PYTHON = ROOT / ".venv" / "ray-torch" / "bin" / "python"
TICK = os.sysconf("SC_CLK_TCK")
NAMES = {
    "torch-as-was": "torch, as the showcase pads",
    "torch": "torch, padding mended",
    "ray-default": "inferd on Ray, default proxy",
    "ray-haproxy": "inferd on Ray, HAProxy",
    "ray-haproxy-batch": "the same with @serve.batch before the engine",
    "c": "inferd serve",
    "c-vnni": "inferd serve, held to AVX-512 VNNI",
}


class System:
    """A context manager; `url` answers inside it."""

    def __init__(self, name: str, model: Path, threads: int):
        self.name, self.model, self.threads = name, model, threads
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/infer"

    def _command(self) -> list[str]:
        common = ["--model", str(self.model), "--port", str(self.port), "--threads", str(self.threads)]
        if self.name == "c":
            return [str(BIN), "serve", *common]
        if self.name == "c-vnni":
            return [str(BIN), "serve", *common, "--tier", "avx512vnni"]
        if self.name.startswith("torch"):
            if not TORCH_PYTHON.exists():
                raise SystemExit("load: the torch baseline is not installed; run with TORCH=1, "
                                 "or leave it out: ARGS='--systems ray-default ray-haproxy c'")
            return [str(TORCH_PYTHON), str(HERE / "torch_baseline.py"), *common,
                    "--padding", "batch" if self.name == "torch" else "each"]
        proxy, _, batch = self.name.removeprefix("ray-").partition("-")
        return [sys.executable, str(HERE / "local.py"), "--proxy", proxy, "--batching", "serve" if batch else "engine",
                *common]

    def __enter__(self) -> System:
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self._command(), stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env={**os.environ, "PYTHONPATH": str(HERE)})
        end = time.monotonic() + 180
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as r:
                    if r.status == 200:
                        return self
            time.sleep(0.2)
        self.__exit__()
        raise SystemExit(f"load: {self.name} did not start:\n{self.text[-3000:]}")

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                for pid in descendants(self.process.pid):
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                self.process.kill()
                self.process.wait()
        self.log.seek(0)
        self.text = self.log.read()
        self.log.close()

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time so far, by kind of process."""
        found: dict[str, float] = {}
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(OSError, ValueError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                stat = Path(f"/proc/{pid}/stat").read_text()
                fields = stat[stat.rindex(")") + 2:].split()
                kind = "server" if self.name.startswith("c") else kind_of(line)
                found[kind] = found.get(kind, 0.0) + (int(fields[11]) + int(fields[12])) / TICK
        return found
