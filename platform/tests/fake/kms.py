#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cloud KMS's encrypt and decrypt over REST on loopback, with key versions: for SOPS through SOPS_GCP_KMS_ENDPOINT.

A ciphertext is version, nonce and the plain text under a keystream and a tag of that version's own secret. As in Cloud KMS,
encryption is by the primary version, decryption by the one that encrypted, and a disabled or destroyed version decrypts
nothing. Authentication is not looked at beyond a bearer token being there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Kms:
    """Keys by resource path. `rotate`, `disable`, `destroy` are what an administrator does; `requests` counts the rest."""

    def __init__(self, *keys: str):
        self.versions: dict[str, list[dict]] = {k: [] for k in keys}
        self.requests: list[tuple[str, str]] = []
        for key in keys:
            self.rotate(key)
        kms = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                kms.serve(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def rotate(self, key: str) -> int:
        self.versions[key].append({"secret": secrets.token_bytes(32), "state": "ENABLED"})
        return len(self.versions[key])

    def set_state(self, key: str, version: int, state: str):
        self.versions[key][version - 1]["state"] = state

    @staticmethod
    def crypt(secret: bytes, nonce: bytes, data: bytes) -> bytes:
        stream = b"".join(hashlib.sha256(secret + nonce + bytes([i])).digest() for i in range(len(data) // 32 + 1))
        return bytes(a ^ b for a, b in zip(data, stream))

    def encrypt(self, key: str, plain: bytes) -> tuple[int, bytes]:
        number = len(self.versions[key])
        secret, nonce = self.versions[key][-1]["secret"], secrets.token_bytes(16)
        body = nonce + self.crypt(secret, nonce, plain)
        return number, bytes([number]) + body + hmac.new(secret, body, "sha256").digest()

    def decrypt(self, key: str, sealed: bytes) -> tuple[int, bytes]:
        number, body, tag = sealed[0], sealed[1:-32], sealed[-32:]
        version = self.versions[key][number - 1]
        if version["state"] != "ENABLED":
            raise PermissionError(f"{key}/cryptoKeyVersions/{number} is not enabled, current state is: {version['state']}.")
        if not hmac.compare_digest(tag, hmac.new(version["secret"], body, "sha256").digest()):
            raise ValueError("Decryption failed: verify that 'name' refers to the correct CryptoKey.")
        return number, self.crypt(version["secret"], body[:16], body[16:])

    def serve(self, handler: BaseHTTPRequestHandler):
        path, _, verb = handler.path.partition("?")[0].rpartition(":")
        key = path.removeprefix("/v1/")
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.requests.append((verb, key))
        try:
            if not handler.headers.get("Authorization", "").startswith("Bearer "):
                return self.reply(handler, 401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no token"}})
            if key not in self.versions:
                return self.reply(handler, 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": f"CryptoKey {key} not found."}})
            if verb == "encrypt":
                number, sealed = self.encrypt(key, base64.b64decode(body["plaintext"]))
                answer = {"name": f"{key}/cryptoKeyVersions/{number}", "ciphertext": base64.b64encode(sealed).decode(), "ciphertextCrc32c": str(crc32c(sealed))}
            else:
                number, plain = self.decrypt(key, base64.b64decode(body["ciphertext"]))
                answer = {"plaintext": base64.b64encode(plain).decode(), "plaintextCrc32c": str(crc32c(plain)),
                          "usedPrimary": number == len(self.versions[key]), "protectionLevel": "SOFTWARE"}
            self.reply(handler, 200, answer)
        except (PermissionError, ValueError, IndexError) as error:
            self.reply(handler, 400, {"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": str(error)}})

    @staticmethod
    def reply(handler: BaseHTTPRequestHandler, code: int, answer: dict):
        data = json.dumps(answer).encode()
        handler.send_response(code)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
