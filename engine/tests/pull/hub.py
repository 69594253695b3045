# SPDX-License-Identifier: Apache-2.0
"""A server that behaves like the hub, and one like its CDN, on ports of this machine; with faults.

Small files are answered by the hub with the git blob's SHA-1 as ETag; large ones (Git LFS) are
redirected to the CDN, with the SHA-256 as X-Linked-ETag. What was asked for is kept in `asked`.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1 << 16


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    def __init__(self, files: dict[str, bytes], repository: str = "org/tiny-model", certificate: str | None = None):
        self.files, self.repository, self.commit = files, repository, COMMIT
        self.lies: dict[str, bytes] = {}       # other bytes than the digest's, of the same length
        self.cuts: dict[str, list[int]] = {}   # bytes after which the next answers end
        self.answers: list[tuple[int, dict, str]] = []  # next answers of the hub to anything
        self.file_answers: dict[str, list[tuple[int, dict]]] = {}  # the same of one file; status 0: the real one
        self.token: str | None = None          # needed by the hub
        self.gated = False
        self.blobs = True                      # does the list tell sizes and digests?
        self.etags = True                      # do the files' answers?
        self.ranges = True                     # does the CDN answer ranges?
        self.wrong_range = False
        self.extra_siblings: list[str] = []
        self.redirect_to: str | None = None    # in place of the CDN
        self.more = 0                          # bytes sent beyond a file's end
        self.asked: list[tuple[str, str, dict]] = []  # (hub|cdn, path, headers)
        self.servers = [self._serve("hub", certificate), self._serve("cdn", None)]
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.servers[0].server_port}"
        self.cdn = f"http://127.0.0.1:{self.servers[1].server_port}"

    def _serve(self, role: str, certificate: str | None) -> ThreadingHTTPServer:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                hub.asked.append((role, self.path, {k.lower(): v for k, v in self.headers.items()}))
                getattr(hub, role + "_get")(self)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # a client that goes away in the middle
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    # ---- answers ----

    @staticmethod
    def send(handler, status: int, body: bytes = b"", headers: dict | None = None, cut: int | None = None):
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(2)

    def hub_get(self, handler) -> None:
        path = urllib.parse.urlsplit(handler.path)
        if self.answers:
            status, headers, body = self.answers.pop(0)
            return self.send(handler, status, body.encode(), headers)
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            return self.send(handler, 401, b'{"error":"Invalid credentials"}', {"X-Error-Code": "RepoNotFound"})
        listing = re.fullmatch(r"/api/models/(.+)/revision/([^/]+)", path.path)
        if listing:
            return self.list(handler, listing[1], urllib.parse.unquote(listing[2]), "blobs=true" in path.query)
        file = re.fullmatch(r"/(.+)/resolve/([^/]+)/(.+)", path.path)
        if not file or file[1] != self.repository or file[2] != self.commit or file[3] not in self.files:
            return self.send(handler, 404, b"", {"X-Error-Code": "EntryNotFound"})
        self.file(handler, file[3])

    def list(self, handler, repository: str, revision: str, blobs: bool) -> None:
        if repository != self.repository:
            return self.send(handler, 404, b"", {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", "v1/stable", self.commit):
            return self.send(handler, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": name} for name in self.extra_siblings]
        for name, data in self.files.items():
            row = {"rfilename": name}
            if blobs and self.blobs:
                row |= {"size": len(data), "blobId": git_sha1(data)}
                if len(data) >= LARGE:
                    row["blobId"] = git_sha1(b"the pointer of " + name.encode())
                    row["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(row)
        body = {"id": repository, "sha": self.commit, "siblings": siblings, "gated": self.gated, "private": False}
        self.send(handler, 200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def file(self, handler, name: str) -> None:
        data = self.files[name]
        if self.file_answers.get(name):
            status, headers = self.file_answers[name].pop(0)
            if status:
                return self.send(handler, status, b"", headers)
        if self.gated:
            return self.send(handler, 403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        etag = hashlib.sha256(data).hexdigest() if len(data) >= LARGE else git_sha1(data)
        headers = {"X-Repo-Commit": self.commit}
        if len(data) < LARGE:
            if self.etags:
                headers["ETag"] = f'"{etag}"'
            return self.send(handler, 200, self.lies.get(name, data), headers, self.next_cut(name))
        if self.etags:
            headers |= {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(len(data)), "ETag": '"of-the-pointer"'}
        headers["Location"] = self.redirect_to or f"{self.cdn}/objects/{name}?signature=x"
        self.send(handler, 302, b"Found", headers)

    def next_cut(self, name: str) -> int | None:
        return self.cuts[name].pop(0) if self.cuts.get(name) else None

    def cdn_get(self, handler) -> None:
        name = urllib.parse.urlsplit(handler.path).path.removeprefix("/objects/")
        data = self.lies.get(name, self.files[name])
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if not wanted or not self.ranges:
            return self.send(handler, 200, data + b"x" * self.more, {"ETag": '"not-a-digest"'}, self.next_cut(name))
        at = int(wanted[1])
        if at >= len(data):
            return self.send(handler, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
        told = at + 1 if self.wrong_range else at
        self.send(handler, 206, data[at:], {"Content-Range": f"bytes {told}-{len(data) - 1}/{len(data)}"}, self.next_cut(name))


def read(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}
