#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed corpus of fuzz_http (corpus/http): one file per feature of the grammar and per
way to make a request's length ambiguous. Run in this folder; the files are committed."""

from pathlib import Path

HOST = b"Host: a\r\n"
POST = b"POST /infer HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SEEDS = {
    "get": b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "get10": b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "absolute": b"GET http://[::1]:80/a?b=%41 HTTP/1.1\r\n" + HOST + b"\r\n",
    "options": b"\r\nOPTIONS * HTTP/1.1\r\n" + HOST + b"Connection: a, close\r\n\r\n",
    "length": POST + b"Content-Type: application/json\r\nContent-Length: 17\r\n\r\n" + b'{"text": "great"}',
    "pipelined": (POST + b"Content-Length: 2\r\n\r\n{}") * 2 + b"GET /info HTTP/1.1\r\n" + HOST + b"\r\n",
    "chunked": CHUNKED + b"5\r\nhello\r\n0a\r\n0123456789\r\n0\r\n\r\n",
    "extensions": CHUNKED + b'1;a;b=c;d="e;\\" "\r\nx\r\n2 ;q\r\nyz\r\n0;z\r\n\r\n',
    "trailers": CHUNKED + b"1\r\nx\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "expect": POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "cl_te": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cl_cl": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "cl_list": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "cl_sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "cl_overflow": POST + b"Content-Length: 18446744073709551617\r\n\r\nx",
    "te_list": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te_space": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "fold": b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n 2\r\n\r\n",
    "bare_lf": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare_cr": b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r2\r\n\r\n",
    "nul": b"GET / HTTP/1.1\r\n" + HOST + b"X: \0\r\n\r\n",
    "hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "chunk_overflow": CHUNKED + b"10000000000000001\r\nx\r\n0\r\n\r\n",
    "chunk_lf": CHUNKED + b"1\nx\n0\n\n",
    "headers": b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"h%d: %d\r\n" % (i, i) for i in range(11)) + b"\r\n",
    "target": b"GET /" + b"a" * 127 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
}

for name, seed in SEEDS.items():
    Path("http", name).write_bytes(seed)
print(f"{len(SEEDS)} seeds")
