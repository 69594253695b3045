# SPDX-License-Identifier: Apache-2.0
"""Every refusal: its status, its one shape, and whether the connection goes on."""

import unittest

from harness import ServerCase, get, post


def deep(n: int) -> bytes:
    return b'{"inputs":' + b"[" * n + b"]" * n + b"}"


class Errors(ServerCase):
    # body, status, type, part of the message
    BODIES = [
        (b"", 400, "invalid_json", ""),
        (b"{", 400, "invalid_json", ""),
        (b'{"text":"a"} x', 400, "invalid_json", ""),
        (b'{"text":"a",}', 400, "invalid_json", ""),
        (b"{'text':'a'}", 400, "invalid_json", ""),
        (b'{"text":NaN}', 400, "invalid_json", ""),
        (b'\xef\xbb\xbf{"text":"a"}', 400, "invalid_json", ""),
        (b'{"text":"a\nb"}', 400, "invalid_json", ""),
        (b'{"text":"\\ud800"}', 400, "invalid_json", ""),
        (b'{"text":"\xff"}', 400, "invalid_utf8", ""),
        (b'{"text":"\xed\xa0\x80"}', 400, "invalid_utf8", ""),
        (b'[]', 400, "invalid_request", "must be a JSON object"),
        (b'"text"', 400, "invalid_request", "not a string"),
        (b'{}', 400, "invalid_request", "neither"),
        (b'{"inputs":[]}', 400, "invalid_request", "empty list"),
        (b'{"inputs":["a",""]}', 400, "invalid_request", "inputs[1] is an empty string"),
        (b'{"inputs":["a","b",3]}', 400, "invalid_request", "inputs[2] must be a string, not a number"),
        (b'{"inputs":[null]}', 400, "invalid_request", "inputs[0] must be a string, not null"),
        (b'{"inputs":[["a"]]}', 400, "invalid_request", "inputs[0] must be a string, not a list"),
        (b'{"inputs":{}}', 400, "invalid_request", "\"inputs\" must be a string or a list"),
        (b'{"inputs":""}', 400, "invalid_request", "\"inputs\" is an empty string"),
        (b'{"text":""}', 400, "invalid_request", "\"text\" is an empty string"),
        (b'{"text":["a"]}', 400, "invalid_request", "\"text\" must be a string, not a list"),
        (b'{"text":true}', 400, "invalid_request", "not a boolean"),
        (b'{"text":"a","text":"a"}', 400, "invalid_request", "twice"),
        (b'{"inputs":"a","inputs":"a"}', 400, "invalid_request", "twice"),
        (b'{"inputs":"a","text":"a"}', 400, "invalid_request", "both"),
        (b'{"input":"a"}', 400, "invalid_request", "unknown key \"input\""),
        (b'{"text":"a","parameters":{"top":1}}', 400, "invalid_request", "unknown key \"top\""),
        (b'{"text":"a","parameters":{"timeout_ms":0}}', 400, "invalid_request", "1 to 86400000"),
        (deep(63), 400, "invalid_request", "inputs[0] must be a string, not a list"),
        (deep(64), 400, "invalid_json", ""),  # with the object: 65
        (b'{"inputs":[3', 400, "invalid_json", ""),
    ]

    def test_bodies_and_the_connection_stays(self):
        s, r = self.connect()
        for body, status, kind, part in self.BODIES:
            for request in (post(body), chunked(body)):
                with self.subTest(body=body, chunked=request is not None):
                    s.sendall(request)
                    answer = r.answer()
                    self.assert_error(answer, status, kind, part)
                    self.assertFalse(answer.closes)
        self.assert_usable(s, r)
        # positive control: a good body among them is not refused
        s.sendall(post(b'{"inputs":["a"]}'))
        self.assertEqual(r.answer().status, 200)

    def test_routes_and_methods_and_the_connection_stays(self):
        s, r = self.connect()
        for request, status, kind, allow in [
            (get("/nope"), 404, "not_found", None),
            (get("/infer/"), 404, "not_found", None),
            (post({"text": "a"}, path="/nope"), 404, "not_found", None),
            (get("/infer"), 405, "method_not_allowed", "POST"),
            (get("/infer", method="DELETE"), 405, "method_not_allowed", "POST"),
            (get("/infer", method="OPTIONS"), 405, "method_not_allowed", "POST"),
            (post({"text": "a"}, path="/healthz"), 405, "method_not_allowed", "GET, HEAD"),
            (get("/info", method="PUT"), 405, "method_not_allowed", "GET, HEAD"),
            (get("*", method="OPTIONS"), 404, "not_found", None),
            (get("/", method="BREW"), 501, "not_implemented", None),
            (get("/", method="get"), 501, "not_implemented", None),
            (get("/infer", method="POST"), 411, "length_required", None),
            (get("/infer", "Content-Type: application/json\r\n", "POST"), 411, "length_required", None),
            (post({"text": "a"}, content_type=None), 415, "unsupported_media_type", None),
            (post({"text": "a"}, content_type="text/plain"), 415, "unsupported_media_type", None),
            (post({"text": "a"}, content_type="application/jsonx"), 415, "unsupported_media_type", None),
            (post({"text": "a"}, content_type="application/json; charset=latin-1"), 415,
             "unsupported_media_type", None),
            (post({"text": "a"}, "Content-Encoding: gzip\r\n"), 415, "unsupported_media_type", None),
            (get("/", "Expect: something\r\n"), 417, "expectation_failed", None),
        ]:
            with self.subTest(request=request):
                s.sendall(request)
                answer = r.answer()
                self.assert_error(answer, status, kind)
                self.assertEqual(answer.headers.get("allow"), allow)
                self.assertFalse(answer.closes)
        self.assert_usable(s, r)

    def test_broken_framing_closes(self):
        host = b"Host: a\r\n"
        infer = b"POST /infer HTTP/1.1\r\n" + host
        for request, status, kind in [
            (infer + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "invalid_http"),
            (infer + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, "invalid_http"),
            (infer + b"Content-Length: 5, 5\r\n\r\nhello", 400, "invalid_http"),
            (infer + b"Content-Length: +5\r\n\r\nhello", 400, "invalid_http"),
            (infer + b"Content-Length: 99999999999999999999\r\n\r\n", 400, "invalid_http"),
            (infer + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, "invalid_http"),
            (infer + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "invalid_http"),
            (infer + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "not_implemented"),
            (infer + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "invalid_http"),
            (infer + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 1100 + b"\r\n", 400, "invalid_http"),
            (infer + b"X: 1\r\n folded\r\n\r\n", 400, "invalid_http"),
            (b"GET / HTTP/1.1\nHost: a\n\n", 400, "invalid_http"),
            (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid_http"),
            (b"GET / HTTP/1.1\r\n" + host + host + b"\r\n", 400, "invalid_http"),
            (b"GET / HTTP/1.1\r\n" + host + b"X: \0\r\n\r\n", 400, "invalid_http"),
            (b"GET / HTTP/2.0\r\n" + host + b"\r\n", 505, "http_version_not_supported"),
            (b"CONNECT a:80 HTTP/1.1\r\n" + host + b"\r\n", 501, "not_implemented"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400, "invalid_http"),
            (infer + b"Content-Length: 9000000\r\n\r\n", 413, "body_too_large"),
            (infer + b"Transfer-Encoding: chunked\r\n\r\n900000\r\n", 413, "body_too_large"),
            (b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 20000 + b"\r\n\r\n", 431, "headers_too_large"),
            (b"GET / HTTP/1.1\r\n" + host + b"X: 1\r\n" * 100 + b"\r\n", 431, "headers_too_large"),
            (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n" + host + b"\r\n", 414, "uri_too_long"),
        ]:
            with self.subTest(request=request[:100]):
                s, r = self.connect()
                # what follows must not be taken for a request of its own
                s.sendall(request + get("/info"))
                answer = r.answer()
                self.assert_error(answer, status, kind)
                self.assertTrue(answer.closes)
                s.shutdown(1)
                self.assertTrue(r.at_end())

    def test_a_refused_body_is_not_taken_for_a_request(self):
        s, r = self.connect()
        inner = get("/info")
        s.sendall(post(inner, path="/nope") + post(inner, content_type="text/plain") + get("/healthz"))
        self.assertEqual([r.answer().status for _ in range(3)], [404, 415, 200])

    def test_expectations(self):
        s, r = self.connect()
        request = post({"text": "a"}, "Expect: 100-continue\r\n")
        head, _, body = request.partition(b"\r\n\r\n")
        s.sendall(head + b"\r\n\r\n")
        self.assertEqual(r.answer().status, 100)
        s.sendall(body)
        self.assertEqual(r.answer().status, 200)
        self.assert_usable(s, r)
        # a refusal instead of 100: the body may or may not come, so the connection ends
        s, r = self.connect()
        request = post({"text": "a"}, "Expect: 100-continue\r\n", content_type="text/plain")
        s.sendall(request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        answer = r.answer()
        self.assert_error(answer, 415, "unsupported_media_type")
        self.assertTrue(answer.closes)

    def test_a_message_shows_what_it_quotes_as_data(self):
        answer = self.ask(post('{"\\u0022\\n\\u00e9":1}'))
        self.assert_error(answer, 400, "invalid_request", '"\n\u00e9"')


def chunked(body: bytes) -> bytes:
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 3]), body[i:i + 3]) for i in range(0, len(body), 3))
    return (b"POST /infer HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")


if __name__ == "__main__":
    unittest.main()
