# SPDX-License-Identifier: Apache-2.0
"""Any requests, in any pieces: pipelined, of any size, with a length or in chunks, written as the connection takes
them and read in between. However they are cut, each is answered as it is by itself, over TLS too."""

import json
import os
import random

import unittest

from harness import Pump, Reader, Server, get, post
from test_stream import HEAD, chunk
from test_tls import Case

SEEDS = 5 if os.environ.get("IFD_TEST_EMULATED") else 15


def most_of(rng):
    """The largest piece that a connection's bytes are written in."""
    return rng.choice((300, 9000, 1 << 20))


def in_chunks(body, rng):
    most, at, chunks = max(rng.choice((100, 5000, 70000, 1 << 20)), len(body) // 500), 0, []
    while at < len(body):
        size = rng.randrange(1, most + 1)
        chunks.append(chunk(body[at:at + size]))
        at += size
    return b"".join(chunks) + b"0\r\n\r\n"


def some_body(rng):
    """A request of /infer: mostly short, now and then of hundreds of kilobytes, or not in order."""
    kind = rng.randrange(10)
    if kind == 0:
        return rng.choice((b"[", b"{}", b"7", b'{"text":""}', b'{"text":1}', b'{"inputs":[]}'))
    if kind == 1:
        count = rng.choice((2, 30, 300, 301))
        return json.dumps({"inputs": ["word " * rng.randrange(1, 400) for _ in range(count)]}).encode()
    if kind == 2:
        return json.dumps({"text": "na\u00efve " * rng.choice((1, 100, 9000))}, ensure_ascii=False).encode()
    return json.dumps({"text": "text " + "w" * rng.randrange(40)}).encode()


def some_stream(rng):
    """A body of /infer/stream, and its lines as requests of /infer. Some lines are bare strings, some empty."""
    body, lines = b"", []
    for _ in range(rng.randrange(1, 60)):
        line = some_body(rng)
        lines.append(line)
        if line.startswith(b'{"text": "') and rng.randrange(2):
            line = line[len(b'{"text": '):-1]
        body += line + rng.choice((b"\n", b"\n", b"\r\n", b"\n\n"))
    return body, lines


def told(answer):
    """What an answer of /infer says, without what is of the one request alone."""
    return answer.json if answer.status == 200 else answer.json["error"]["type"]


class Pieces(Case):
    OPTIONS = ("--max-inputs", "300")

    def servers(self):
        plain = Server(*self.OPTIONS)
        self.addCleanup(plain.close)
        secret = self.start(*self.OPTIONS)
        yield plain, plain.connect
        yield secret, lambda: self.dial(secret)[0]
        for server in (plain, secret):
            self.assertEqual(server.stop(), 0)

    def asker(self, connect):
        """What /infer says of a body that comes by itself."""
        s = connect()
        reader, known = Reader(s), {}

        def ask(body):
            if body not in known:
                s.sendall(post(body))
                known[body] = told(reader.answer())
            return known[body]
        return ask

    def test_streams(self):
        for _, connect in self.servers():
            ask = self.asker(connect)
            for seed in range(SEEDS):
                rng = random.Random(seed)
                body, lines = some_stream(rng)
                got = Reader(Pump(connect(), HEAD + in_chunks(body, rng), rng, most_of(rng))).answer().body.splitlines()
                got = [json.loads(line) for line in got]
                self.assertEqual([g["index"] for g in got], list(range(len(lines))), f"seed {seed}")
                for line, g in zip(lines, got):
                    self.assertEqual(g["results"] if "results" in g else g["error"]["type"], ask(line),
                                     f"seed {seed}, {line[:60]}")

    def test_pipelines(self):
        for _, connect in self.servers():
            ask = self.asker(connect)
            for seed in range(SEEDS):
                rng = random.Random(seed)
                data, wants = b"", []
                for _ in range(rng.randrange(1, 40)):
                    kind = rng.randrange(8)
                    if kind == 0:
                        data += get("/livez")
                        wants.append(None)
                    elif kind == 1:
                        body, lines = some_stream(rng)
                        data += HEAD + in_chunks(body, rng)
                        wants.append([ask(line) for line in lines])
                    else:
                        body = some_body(rng)
                        head = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
                        data += post(body) if kind < 5 else head + in_chunks(body, rng)
                        wants.append(ask(body))
                reader = Reader(Pump(connect(), data, rng, most_of(rng)))
                for i, want in enumerate(wants):
                    answer = reader.answer()
                    if want is None:
                        self.assertEqual(answer.status, 200)
                    elif "transfer-encoding" in answer.headers:
                        got = [json.loads(line) for line in answer.body.splitlines()]
                        self.assertEqual([g.get("results") or g["error"]["type"] for g in got], want, f"seed {seed}, {i}")
                    else:
                        self.assertEqual(told(answer), want, f"seed {seed}, request {i}")
                    self.assertFalse(answer.closes, f"seed {seed}, request {i}: {answer}")


if __name__ == "__main__":
    unittest.main()
