# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the cluster's name service: <service>.<namespace>.svc.cluster.local is the address of a ready pod that the
Service selects (there is no kube-proxy, so a Service's own address leads nowhere). A records only; anything else does not exist.
"""

from __future__ import annotations

import socket
import struct
import threading

from api import Api

SUFFIX = ".svc.cluster.local"


class Names:
    def __init__(self, api: Api):
        self.api = api
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.socket.close()

    def serve(self) -> None:
        while True:
            try:
                question, client = self.socket.recvfrom(512)
            except OSError:
                return
            try:
                self.socket.sendto(self.answer(question), client)
            except (OSError, IndexError, UnicodeDecodeError, struct.error):
                continue

    def address(self, name: str) -> str | None:
        if not name.endswith(SUFFIX) or name.removesuffix(SUFFIX).count(".") != 1:
            return None
        service, namespace = name.removesuffix(SUFFIX).split(".")
        slices = self.api.list("discovery.k8s.io/v1", "EndpointSlice", namespace, f"kubernetes.io/service-name={service}")
        ready = [e["addresses"][0] for s in slices for e in s.get("endpoints") or [] if e["conditions"].get("ready")]
        return ready[0] if ready else None

    def answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("ascii"))
            at += 1 + question[at]
        asked = question[12:at + 5]
        kind = struct.unpack(">H", question[at + 1:at + 3])[0]
        address = self.address(".".join(labels).lower())
        found = struct.pack(">HHHLH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(address) if address and kind == 1 else b""
        flags = 0x8580 if address else 0x8583  # authoritative; no such name
        return question[:2] + struct.pack(">HHHHH", flags, 1, 1 if found else 0, 0, 0) + asked + found
