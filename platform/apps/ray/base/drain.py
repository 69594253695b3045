# SPDX-License-Identifier: Apache-2.0
"""preStop of a worker: have Serve move this node's replicas away, and wait until they are gone.

KubeRay sends a pod that stops no word to Ray, and a raylet that ends takes its replicas with it. Draining the node first
makes Serve start replacements elsewhere, then stop the replicas here, each of which answers what it has. Ends after --within
seconds at the latest, whatever happened: the grace period of the pod is longer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path


def replicas(proc: str) -> list[int]:
    """Pids of Serve replicas: all that this pod's process list shows are this node's."""
    found = []
    for entry in Path(proc).iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().startswith(b"ray::ServeReplica"):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def node_id(address: str, ip: str) -> str | None:
    """The live Ray node of that address. Asks the GCS: no driver is started for it."""
    from ray._raylet import GcsClient  # what `ray drain-node` uses

    for info in GcsClient(address=address).get_all_node_info().values():
        if info.node_manager_address == ip and info.state == 0:  # GcsNodeInfo.ALIVE
            return info.node_id.hex()
    return None


def drain(address: str, node: str, within_s: float) -> None:
    subprocess.run([sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", address, "--node-id", node,
                    "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "the pod stops",
                    "--deadline-remaining-seconds", str(int(within_s))], check=True, timeout=within_s)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--within", type=float, default=90.0, help="seconds that this may take")
    p.add_argument("--proc", default="/proc")
    o = p.parse_args()
    end = time.monotonic() + o.within
    if not replicas(o.proc):
        return 0  # the autoscaler takes idle nodes away: nothing to move
    address, ip = os.environ["RAY_ADDRESS"], os.environ["POD_IP"]
    node = node_id(address, ip)
    if node is None:
        print(f"drain: no live Ray node has the address {ip}", file=sys.stderr)
        return 1
    drain(address, node, end - time.monotonic())
    while replicas(o.proc) and time.monotonic() < end:
        time.sleep(0.5)
    left = replicas(o.proc)
    if left:
        print(f"drain: {len(left)} replicas are still here after {o.within:.0f} s", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
