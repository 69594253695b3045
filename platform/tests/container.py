# SPDX-License-Identifier: Apache-2.0
"""Runs an image of ours by other people's tools: skopeo picks the architecture, umoci unpacks the layout, runc runs it.

As Kubernetes would with our manifests: the image's user, a read-only root, no capabilities, no new privileges, a network namespace
with a loopback of its own. With `pod`, what the kubelet and KubeRay add too: a host name, /etc/hosts with it and localhost (an image has
none), an address other than the loopback's, a writable /tmp, a larger /dev/shm. Needs root, and Debian's skopeo, umoci, runc and
iproute2. Differences from a cluster: no cgroup limits, no seccomp profile, no name server, this machine's limit of open files.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

TOOLS = ("skopeo", "umoci", "runc", "nsenter", "ip")
POD_IP, POD_NAME = "10.254.0.2", "inferd-head"


class Container:
    """`with Container(layout, tag, folder) as c`: started by its own Entrypoint and Cmd, or by `args`."""

    def __init__(self, layout: Path, tag: str, folder: Path, arch: str = "amd64", args: list[str] | None = None, pod: bool = False, env: tuple[str, ...] = (),
                 spoil: str = ""):
        self.state, self.name = folder / "runc", f"t{time.monotonic_ns()}"
        self.bundle, self.log = folder / f"bundle-{self.name}", folder / f"{self.name}.log"
        one = folder / f"one-{self.name}"
        run("skopeo", "--insecure-policy", "--override-arch", arch, "copy", "--quiet", f"oci:{layout}:{tag}", f"oci:{one}:{tag}")
        run("umoci", "unpack", "--image", f"{one}:{tag}", str(self.bundle))
        shutil.rmtree(one)
        config = json.loads((self.bundle / "config.json").read_text(encoding="utf-8"))
        process = config["process"]
        process.update(terminal=False, noNewPrivileges=True, capabilities={k: [] for k in ("bounding", "effective", "permitted", "inheritable", "ambient")})
        process.pop("rlimits", None)
        process["args"] = args or process["args"]
        process["env"] += env
        config["root"]["readonly"] = True
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "cgroup"]
        config["linux"].pop("resources", None)
        self.network = self.name if pod else ""
        if pod:
            self._as_pod(config)
        (self.bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        self.config, self.rootfs = config, self.bundle / "rootfs"
        if spoil:
            (self.rootfs / spoil.lstrip("/")).unlink()
        self.process: subprocess.Popen[bytes] | None = None

    def _as_pod(self, config: dict) -> None:
        hosts = self.bundle / "hosts"
        hosts.write_text(f"127.0.0.1\tlocalhost\n{POD_IP}\t{POD_NAME}\n", encoding="utf-8")
        config["hostname"] = POD_NAME
        config["mounts"] = [m for m in config["mounts"] if m["destination"] != "/dev/shm"]
        for path, size in (("/tmp", "2g"), ("/dev/shm", "512m")):
            config["mounts"].append({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777", f"size={size}"]})
        config["mounts"].append({"destination": "/etc/hosts", "type": "bind", "source": str(hosts), "options": ["bind", "ro"]})
        for namespace in config["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = f"/run/netns/{self.network}"

    def __enter__(self) -> Container:
        if self.network:
            run("ip", "netns", "add", self.network)
            run("ip", "-n", self.network, "link", "set", "lo", "up")
            run("ip", "-n", self.network, "address", "add", f"{POD_IP}/32", "dev", "lo")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(["runc", "--root", str(self.state), "run", "-b", str(self.bundle), self.name], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *exc: object) -> None:
        subprocess.run(["runc", "--root", str(self.state), "delete", "--force", self.name], capture_output=True, check=False)
        if self.process:
            self.process.wait(timeout=60)
        if self.network:
            run("ip", "netns", "delete", self.network)
        shutil.rmtree(self.bundle, ignore_errors=True)

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def pid(self) -> int:
        shown = subprocess.run(["runc", "--root", str(self.state), "state", self.name], capture_output=True, text=True, check=False)
        return int(json.loads(shown.stdout)["pid"]) if shown.returncode == 0 else 0

    def exec(self, *argv: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """A command inside, as the image's user with no capabilities."""
        return subprocess.run(["runc", "--root", str(self.state), "exec", self.name, *argv], capture_output=True, text=True, timeout=timeout_s, check=False)

    def request(self, url: str, body: str | None = None, method: str = "", timeout_s: int = 30) -> tuple[int, str]:
        """(HTTP status, body) of a request from inside its network; (0, why) without an answer."""
        more = ["-H", "Content-Type: application/json", "--data-binary", body] if body is not None else []
        more += ["-X", method] if method else []
        done = subprocess.run(["nsenter", "--net", "--target", str(self.pid()), "curl", "-sS", "--max-time", str(timeout_s), "-w", "\n%{http_code}", *more, url],
                              capture_output=True, text=True, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return (int(status), text) if done.returncode == 0 else (0, done.stderr)

    def wait(self, answers, limit_s: float) -> bool:
        """Polls until `answers()` is true, at most that long, or until the container ends."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end and self.process.poll() is None:
            if self.pid() and answers():
                return True
            time.sleep(0.3)
        return False

    def stop(self, limit_s: float) -> int:
        """SIGTERM; the exit code of the container's first process."""
        subprocess.run(["runc", "--root", str(self.state), "kill", self.name, "TERM"], check=True)
        return self.process.wait(timeout=limit_s)


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout
