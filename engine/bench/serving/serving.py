# SPDX-License-Identifier: Apache-2.0
"""What the serving scripts share: a server process, `inferd bench` as the client, what /proc says of
a process, and how results are printed. Standard library only; everything is on the loopback."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something that makes the figures worthless."""


# ---- processes ---------------------------------------------------------------------------------

def rss_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def fd_count(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_s(pid: int) -> float:
    """User and system time of a process and its children that still live."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    own = (int(fields[11]) + int(fields[12])) * TICK_S
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return own + sum(cpu_s(int(c)) for c in children.read_text().split()) if children.exists() else own


def free_port() -> int:
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A server: started, waited for, stopped whatever happens."""

    name = "server"

    def __init__(self, command: list[str], env: dict | None = None):
        self.log_file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log_file,
                                        stderr=self.log_file, env=env)
        self.pid = self.process.pid
        self.url = ""
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def log(self) -> str:
        self.log_file.seek(0)
        return self.log_file.read()

    def is_ready(self) -> bool:
        raise NotImplementedError

    def wait_ready(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"{self.name} did not become ready; it says:\n{self.log()[-2000:]}")
            time.sleep(0.02)

    def check(self) -> None:
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended by itself with {self.process.returncode}:\n{self.log()[-2000:]}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log_file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Inferd(Process):
    name = "inferd"

    def __init__(self, binary: Path, model: Path, *options: str):
        env = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")}
        super().__init__([str(binary), "serve", "--model", str(model), "--port", "0", "--log-format", "json",
                          *options], env)

    def is_ready(self) -> bool:
        for line in self.log().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "ready":
                self.url = event["url"]
                return True
        return False


# ---- the client --------------------------------------------------------------------------------

def start_bench(binary: Path, url: str, **options) -> subprocess.Popen:
    """`inferd bench` with options as keywords: duration="5s", header=["A: b"], report_interval=..."""
    command = [str(binary), "bench", url, "--json"]
    for name, value in options.items():
        for v in value if isinstance(value, list) else [value]:
            command += ["--" + name.replace("_", "-"), str(v)]
    env = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=env)


def end_bench(process: subprocess.Popen) -> dict:
    out, said = process.communicate()
    if process.returncode != 0:
        raise Failed(f"bench ended with {process.returncode}: {said.decode(errors='replace')}")
    figures = json.loads(out)
    if not figures["law"]["holds"]:
        raise Failed(f"the client lost count: {figures['law']}")
    return figures


def bench(binary: Path, url: str, **options) -> dict:
    process = start_bench(binary, url, **options)
    try:
        return end_bench(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def stop_bench(process: subprocess.Popen) -> dict:
    process.terminate()  # it reports what was done
    return end_bench(process)


def failures(figures: dict) -> dict:
    """Outcomes that are no answer, those that happened."""
    return {k: v for k, v in figures["outcomes"].items() if v and k != "answer"}


def bad(figures: dict) -> int:
    """Requests that got neither a 2xx nor a refusal."""
    return figures["requests"] - figures["ok"] - figures["refused"]


def time_of(figures: dict, which: str, percentile: str) -> float | None:
    return figures[which].get(percentile)


# ---- options and results -----------------------------------------------------------------------

def parser(about: str, model: bool = True) -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=about, epilog="Options after -- go to the server.",
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--binary", type=Path, default=ROOT / "build" / "inferd", help="what is measured, and measures")
    if model:
        p.add_argument("--model", default=str(ROOT / "models" / "sst2-minilm-l6"),
                       help="directory, or `tiny` for a model of 2 layers x 32")
    p.add_argument("--json", type=Path, help="write the figures there too")
    p.add_argument("server", nargs="*", metavar="-- SERVER OPTION", help="passed to `inferd serve`")
    return p


def model_of(args: argparse.Namespace, where: Path) -> Path:
    import tiny_model
    return tiny_model.make(where / "tiny") if args.model == "tiny" else Path(args.model)


def machine() -> dict:
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": cpu.group(1) if cpu else "unknown", "cores": len(os.sched_getaffinity(0)),
            "load_average": round(os.getloadavg()[0], 2), "commit": commit.stdout.strip() or "unknown"}


def number(v) -> str:
    if v is None:
        return "-"
    if isinstance(v, float):
        return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.1f}" if abs(v) >= 100 else f"{v:.3g}"
    return f"{v:,}" if isinstance(v, int) and not isinstance(v, bool) else str(v)


def table(head: list[str], rows: list[list]) -> None:
    text = [head] + [[number(v) for v in row] for row in rows]
    width = [max(len(r[i]) for r in text) for i in range(len(head))]
    for r in text:
        print("  " + r[0].ljust(width[0]) + "".join("  " + c.rjust(w) for c, w in zip(r[1:], width[1:])))
    sys.stdout.flush()


def step(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def finish(args: argparse.Namespace, name: str, figures: dict) -> None:
    """The JSON, and a word on whether other work was on the machine."""
    seen = machine()
    figures = {"script": name, "machine": seen, "server_options": args.server, **figures}
    print(f"{seen['cpu']}, {seen['cores']} cores, load average {seen['load_average']} at the end, {seen['commit']}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    else:
        print(json.dumps(figures))


def main(run) -> None:
    """Run a script's run(); a failure is one line and exit code 1."""
    try:
        run()
    except Failed as e:
        print(f"{Path(sys.argv[0]).name}: {e}", file=sys.stderr)
        raise SystemExit(1) from None
