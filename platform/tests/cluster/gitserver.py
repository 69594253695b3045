# SPDX-License-Identifier: Apache-2.0
"""A git repository on this machine, served by git's own http-backend behind a small HTTP server, since Flux takes no path as a
URL. `Repository` is a clone to commit in and push from.
"""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from pathlib import Path

ADDRESS, PORT = "10.244.255.1", 8418
IDENTITY = ["-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"]


def git(folder: Path, *argv: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["git", *IDENTITY, *argv], cwd=folder, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(argv[:3])}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode().strip()


class GitServer:
    """Serves every bare repository below `root` at http://ADDRESS:PORT/<name>, to read and to push."""

    def __init__(self, root: Path):
        self.root = root
        backend = str(Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()) / "git-http-backend")

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if not self.headers.get("Transfer-Encoding") else self.chunks()
                env = {"GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                       "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                       "REMOTE_USER": "tests", "REMOTE_ADDR": self.client_address[0], "PATH": os.environ["PATH"],
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
                answer = subprocess.run([backend], input=body, env=env, capture_output=True, check=False).stdout
                head, _, content = answer.partition(b"\r\n\r\n")
                lines = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
                status = next((v for k, v in lines if k == "Status"), "200 OK")
                self.send_response(int(status.split()[0]))
                for key, value in lines:
                    if key != "Status":
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815

            def chunks(self) -> bytes:
                found = b""
                while size := int(self.rfile.readline(), 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found
        self.server = http.server.ThreadingHTTPServer((ADDRESS, PORT), Handler)

    def start(self) -> None:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Repository:
    def __init__(self, folder: Path, source: Path, name: str = "fork.git"):
        """A bare repository with one commit: the files that git tracks in `source`, as they lie there."""
        self.bare, self.tree = folder / "served" / name, folder / "work"
        self.bare.mkdir(parents=True)
        self.tree.mkdir()
        git(self.bare, "init", "-q", "--bare", "-b", "main")
        git(self.bare, "config", "http.receivepack", "true")
        git(self.tree, "init", "-q", "-b", "main")
        names = git(source, "ls-files", "-z", "platform", ".sops.yaml").split("\0")
        for name_ in filter(None, names):
            if (source / name_).is_file():
                (self.tree / name_).parent.mkdir(parents=True, exist_ok=True)
                (self.tree / name_).write_bytes((source / name_).read_bytes())
        self.url = f"http://{ADDRESS}:{PORT}/{name}"
        git(self.tree, "add", "-A", "--force")
        git(self.tree, "commit", "-q", "-m", "the tree")
        git(self.tree, "remote", "add", "origin", self.url)

    def push(self, *force: str) -> str:
        """Pushes over HTTP what is committed; returns the commit."""
        git(self.tree, "push", "-q", *force, "origin", "main")
        return git(self.tree, "rev-parse", "HEAD")

    def commit(self, changes: dict[str, str | None]) -> str:
        """Writes files (None deletes one), commits and pushes; returns the commit."""
        for name, text in changes.items():
            path = self.tree / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        git(self.tree, "add", "-A", "--force")
        git(self.tree, "commit", "-q", "-m", ", ".join(changes))
        return self.push()

    def read(self, name: str) -> str:
        return (self.tree / name).read_text(encoding="utf-8")
