#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processor seconds that a server does not spend for clients that have left.

The same burst of large requests is sent three times, more than the server can begin at once:

  stay    every client waits for its answer: what the work costs
  close   every client closes its socket a moment later, as a killed client's system does
  reset   the same with a reset

What is saved is the difference in the server's processor time. The inputs that were computed and
those that were dropped must add up to all that were sent.
"""

from __future__ import annotations

import json
import socket
import struct
import tempfile
import time
import urllib.request
from pathlib import Path

import serving

TEXT = "It begins as a comedy of manners and ends, to nobody's surprise, in a lake of tears and good intentions."


def request(inputs: int) -> bytes:
    body = json.dumps({"inputs": [TEXT] * inputs}).encode()
    return (f"POST /infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def counts(server: serving.Inferd) -> dict:
    with urllib.request.urlopen(server.url + "/info", timeout=30) as answer:
        return json.load(answer)["counts"]


def settle(server: serving.Inferd) -> None:
    """Until nothing waits and the batches stand still."""
    end = time.monotonic() + serving.PATIENCE_S
    last = None
    while time.monotonic() < end:
        now = counts(server)
        if now["queued_inputs"] == 0 and last == now["batches"]:
            return
        last = now["batches"]
        time.sleep(0.3)
    raise serving.Failed("the server did not become idle")


def burst(args, server: serving.Inferd, how: str) -> dict:
    settle(server)
    before, cpu = counts(server), serving.cpu_s(server.pid)
    port = int(server.url.rsplit(":", 1)[1])
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(args.clients)]
    answered = 0
    for s in sockets:
        s.sendall(request(args.inputs))
    time.sleep(args.leave_ms / 1000)
    for s in sockets:
        if how == "stay":
            answered += s.recv(15).startswith(b"HTTP/1.1 200")
        elif how == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    settle(server)
    server.check()
    after = counts(server)
    return {"answered": answered, "cpu_s": serving.cpu_s(server.pid) - cpu,
            "computed": after["batched_inputs"] - before["batched_inputs"],
            "dropped": after["dropped_inputs"] - before["dropped_inputs"],
            "refused": after["refused"] - before["refused"]}


def run() -> None:
    p = serving.parser(__doc__.split("\n\n")[0])
    p.add_argument("--clients", type=int, default=40)
    p.add_argument("--inputs", type=int, default=64, help="of each request")
    p.add_argument("--leave-ms", type=int, default=200, help="when they go")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as where:
        options = ("--request-timeout", "300s", "--max-queue-wait", "0", "--max-queue", "100000")
        with serving.Inferd(args.binary, serving.model_of(args, Path(where)), *options, *args.server) as server:
            shown = {how: burst(args, server, how) for how in ("stay", "close", "reset")}
    sent = args.clients * args.inputs
    serving.table(["", "clients", "inputs sent", "answered", "computed", "dropped", "CPU s", "CPU s saved"],
                  [[how, args.clients, sent, s["answered"], s["computed"], s["dropped"], s["cpu_s"],
                    shown["stay"]["cpu_s"] - s["cpu_s"]] for how, s in shown.items()])
    serving.finish(args, "cancel", {"sent": sent, "phases": shown})
    for how, s in shown.items():
        if s["computed"] + s["dropped"] != sent or s["refused"]:
            raise serving.Failed(f"{how}: {s} does not add up to {sent}")
    if shown["stay"]["answered"] != args.clients or shown["stay"]["dropped"]:
        raise serving.Failed("the clients that stayed were not all answered")


if __name__ == "__main__":
    serving.main(run)
