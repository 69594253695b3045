# SPDX-License-Identifier: Apache-2.0
"""The embedded page over HTTP: who gets it, in which form, what a cache may keep, what it may load.

How it looks and works is tests/ui, in a browser.
"""

import gzip
import re
import unittest
from pathlib import Path

from harness import Reader, Server, ServerCase, get

SOURCE = Path(__file__).resolve().parents[2] / "src" / "ui"
HTML = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n"
FILES = {"/": "index.html", "/docs": "docs.html",
         **{f"/ui/{name}": name for name in ("style.css", "app.js", "charts.js", "metrics.js", "docs.js", "icon.svg")}}
TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
         "svg": "image/svg+xml"}


def policy(answer) -> dict[str, str]:
    parts = (p.strip().split(" ", 1) for p in answer.headers["content-security-policy"].split(";"))
    return {p[0]: p[1] for p in parts}


class Page(ServerCase):
    def test_every_file_as_it_is_and_compressed(self):
        self.assertEqual(set(FILES.values()) | {"ui.h", "embed.cmake"}, {p.name for p in SOURCE.iterdir()})
        for path, name in FILES.items():
            with self.subTest(path):
                want = (SOURCE / name).read_bytes()
                plain = self.ask(get(path, HTML))
                packed = self.ask(get(path, HTML + "Accept-Encoding: gzip, br\r\n"))
                self.assertEqual((plain.status, plain.body), (200, want))
                self.assertNotIn("content-encoding", plain.headers)
                self.assertEqual(packed.headers["content-encoding"], "gzip")
                self.assertEqual(gzip.decompress(packed.body), want)
                for answer in (plain, packed):
                    self.assertEqual(answer.headers["content-type"], TYPES[name.rsplit(".", 1)[1]])
                    self.assertIn("Accept-Encoding", answer.headers["vary"])
                    self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
                self.assertNotEqual(plain.headers["etag"], packed.headers["etag"])

    def test_a_program_gets_json_at_the_root(self):
        for accept in ("", "Accept: */*\r\n", "Accept: application/json\r\n",
                       "Accept: application/json, text/html;q=0.9\r\n"):
            answer = self.ask(get("/", accept))
            self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertEqual(answer.headers["vary"], "Accept")
            paths = [r["path"] for r in answer.json["routes"]]
            self.assertLessEqual(set(FILES), set(paths))
        self.assertEqual(self.ask(get("/", HTML)).headers["vary"], "Accept-Encoding, Accept")

    def test_a_cache_asks_again_and_is_told_nothing_new(self):
        s, r = self.connect()
        for path in FILES:
            for coding in ("", "Accept-Encoding: gzip\r\n"):
                s.sendall(get(path, HTML + coding))
                first = r.answer()
                self.assertEqual(first.headers["cache-control"], "no-cache")
                tag = first.headers["etag"]
                for have in (tag, f"W/{tag}", f'"other", {tag}', "*"):
                    s.sendall(get(path, HTML + coding + f"If-None-Match: {have}\r\n") + get("/healthz"))
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):  # it has no body and says no length
                        head += s.recv(1)
                    self.assertTrue(head.startswith(b"HTTP/1.1 304 Not Modified\r\n"))
                    self.assertNotIn(b"content-length", head.lower())
                    self.assertIn(f"ETag: {tag}".encode(), head)
                    self.assertEqual(r.answer().json, {"status": "ok"})  # and the next answer follows at once
                s.sendall(get(path, HTML + coding + 'If-None-Match: "0123456789abcdef"\r\n'))
                self.assertEqual(r.answer().body, first.body)

    def test_head(self):
        for path in FILES:
            full, head = self.ask(get(path, HTML)), self.ask(get(path, HTML, method="HEAD"))
            for name in ("content-length", "content-type", "etag", "content-security-policy"):
                self.assertEqual(full.headers[name], head.headers[name])

    def test_the_policy_and_the_page_agree(self):
        answer = self.ask(get("/", HTML))
        rules = policy(answer)
        self.assertEqual(rules["default-src"], "'none'")
        for kind in ("script-src", "style-src", "img-src", "connect-src"):
            self.assertEqual(rules[kind], "'self'")
        self.assertEqual(rules["frame-ancestors"], "'none'")
        # what the policy forbids would not work, so it must not be there: inline code and styles,
        # other hosts (a name space is not fetched)
        inline = re.compile(r"<script(?![^>]*\bsrc=)|<style|\bon[a-z]+=|\bstyle=|javascript:")
        other = re.compile(r"(?:src|href|url|fetch|import)\W{1,3}https?://|@import")
        for name in FILES.values():
            text = (SOURCE / name).read_text(encoding="utf-8")
            if name.endswith("html"):
                self.assertIsNone(inline.search(text), name)
            self.assertIsNone(other.search(text), name)
        self.assertIsNotNone(inline.search("<p onclick=x>"))  # positive controls
        self.assertIsNotNone(other.search('<script src="https://cdn.example/x.js">'))

    def test_it_is_read_only(self):
        answer = self.ask(get("/docs", "Content-Length: 0\r\n", method="POST"))
        self.assert_error(answer, 405, "method_not_allowed")
        self.assertEqual(answer.headers["allow"], "GET, HEAD")

    def test_it_is_counted_as_pages_are(self):
        self.ask(get("/docs"))
        text = self.ask(get("/metrics")).body.decode()
        self.assertRegex(text, r'inferd_requests_total\{route="/docs",code="200"\} [1-9]')


class Off(unittest.TestCase):
    def test_off(self):
        server = Server("--ui", "off")
        try:
            s = server.connect()
            r = Reader(s)
            s.sendall(get("/", HTML))
            answer = r.answer()
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
            self.assertNotIn("vary", answer.headers)
            self.assertEqual({p["path"] for p in answer.json["routes"]} & set(FILES), {"/"})
            for path in set(FILES) - {"/"}:
                s.sendall(get(path, HTML))
                self.assertEqual(r.answer().status, 404)
            self.assertEqual(server.stop(), 0)
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main()
