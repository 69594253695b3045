# SPDX-License-Identifier: Apache-2.0
"""The network of a test run: scripts/test-cluster.sh starts it in network, mount and process namespaces of its own, so that
nothing of it reaches outside, and the kernel takes all of it away with the last process.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

ADDRESS = "10.255.0.1"  # of the API server, which refuses to advertise a loopback address
PODS = "10.244.0.0/16"  # every address of it reaches this machine: a stand-in may answer for any pod
SERVICES = "10.96.0.0/16"


def ip(*argv: str) -> str:
    return subprocess.run(["ip", *argv], check=True, capture_output=True, text=True).stdout


def set_up() -> None:
    """Raises RuntimeError where there is an interface but the loopback one: this is not a namespace of our own."""
    links = [line.split(": ")[1] for line in ip("-o", "link").splitlines()]
    if os.environ.get("INFERD_CLUSTER_SANDBOX") != "1" or [name for name in links if name != "lo"]:
        raise RuntimeError(f"not in a network namespace of its own (there are {', '.join(links)}); run scripts/test-cluster.sh")
    ip("link", "set", "lo", "up")
    ip("link", "add", "inferd0", "type", "veth", "peer", "name", "inferd1")
    ip("addr", "add", f"{ADDRESS}/24", "dev", "inferd0")
    ip("link", "set", "inferd0", "up")
    ip("link", "set", "inferd1", "up")
    ip("route", "add", "local", PODS, "dev", "lo")
    resolv = Path(tempfile.mkdtemp(prefix="inferd-resolv-")) / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions ndots:1 timeout:1 attempts:2\n", encoding="utf-8")
    # This mount is in the run's own mount namespace. A link is followed, so that its target is what is hidden.
    subprocess.run(["mount", "--bind", str(resolv), os.path.realpath("/etc/resolv.conf")], check=True)
