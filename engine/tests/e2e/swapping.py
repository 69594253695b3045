# SPDX-License-Identifier: Apache-2.0
"""What the tests of models that change under a running server share."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BIN, MODEL, PATIENCE_S, Reader, Server, get, post

GOLDEN = Path(MODEL).parent
KEY = "a-key-for-tests-0123456789"
OTHER_KEY = "another-key-0123456789"
WORDS = ("a", "good", "bad", "film", "not", "at", "all", "it", "is", "the", "very", "word", "!", "x", "end")


def texts(count: int, seed: int = 3) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 30))) for _ in range(count)]


def offline(model: str, inputs: list[str]) -> list[dict]:
    """What `inferd classify` says, in the server's form."""
    done = subprocess.run([BIN, "classify", "--json", "--model", model], input="\n".join(inputs) + "\n",
                          capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    return [{"label": r["label"], "confidence": r["confidence"]}
            for r in map(json.loads, done.stdout.splitlines())]


def same(answer: list[dict], want: list[dict]) -> bool:
    return len(answer) == len(want) and all(
        a["label"] == w["label"] and abs(a["confidence"] - w["confidence"]) < 2e-6
        for a, w in zip(answer, want))


class Tensors:
    """A safetensors file taken apart."""

    def __init__(self, path: Path):
        with open(path, "rb") as f:
            self.header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
            self.data = bytearray(f.read())

    def span(self, name: str) -> tuple[int, int]:
        begin, end = self.header[name]["data_offsets"]
        return begin, end

    def write(self, path: Path) -> None:
        text = json.dumps(self.header).encode()
        text += b" " * (-len(text) % 8)
        path.write_bytes(struct.pack("<Q", len(text)) + text + self.data)


def variant(where: Path, name: str) -> str:
    """The golden BERT with its classifier's rows exchanged: another answer to every text."""
    to = where / name
    shutil.copytree(MODEL, to)
    t = Tensors(to / "model.safetensors")
    for tensor in ("classifier.weight", "classifier.bias"):
        begin, end = t.span(tensor)
        half = (end - begin) // 2
        t.data[begin:end] = t.data[begin + half:end] + t.data[begin:begin + half]
    t.write(to / "model.safetensors")
    return str(to)


def write_manifest(model: str) -> None:
    subprocess.run([BIN, "inspect", model, "--write-manifest"], check=True, capture_output=True,
                   timeout=PATIENCE_S)


def admin(server: Server, route: str, body: dict | None = None, key: str | None = KEY,
          timeout: float = PATIENCE_S):
    s = server.connect(timeout)
    auth = f"Authorization: Bearer {key}\r\n" if key else ""
    if route == "":
        s.sendall(get("/admin/models", auth))
    elif body is None:
        s.sendall(get(f"/admin/models/{route}", auth + "Content-Length: 0\r\n", method="POST"))
    else:
        s.sendall(post(body, auth, f"/admin/models/{route}"))
    answer = Reader(s).answer()
    s.close()
    server.sockets.remove(s)
    return answer


class SwapCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.room = tempfile.TemporaryDirectory()
        cls.where = Path(cls.room.name)
        cls.keys = cls.where / "keys"
        cls.keys.write_text(f"# who may\n{KEY}\n", encoding="ascii")
        cls.other = variant(cls.where, "other")
        cls.inputs = texts(40)
        cls.want = {m: offline(m, cls.inputs) for m in (MODEL, cls.other)}
        assert not same(cls.want[MODEL], cls.want[cls.other])

    @classmethod
    def tearDownClass(cls) -> None:
        cls.room.cleanup()

    def start(self, *options: str, **kwargs) -> Server:
        # a machine that tests on all cores has no idle time; the default has its own test
        server = Server("--admin-key-file", str(self.keys), "--load-priority", "normal", *options, **kwargs)
        self.addCleanup(server.close)
        return server

    def ask(self, server: Server, request: bytes):
        s = server.connect()
        s.sendall(request)
        answer = Reader(s).answer()
        s.close()
        server.sockets.remove(s)
        return answer

    def infer(self, server: Server, inputs: list[str]):
        return self.ask(server, post({"inputs": inputs}))

    def assert_answers_as(self, server: Server, model: str, digest: str) -> None:
        answer = self.infer(server, self.inputs)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["x-model-digest"], digest)
        self.assertTrue(same(answer.json, self.want[model]))
