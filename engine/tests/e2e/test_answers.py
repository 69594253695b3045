# SPDX-License-Identifier: Apache-2.0
"""What a well-formed request gets: results, their order, the pages, the methods."""

import http.client
import json
import unittest

from harness import Reader, Server, ServerCase, get, post


class Answers(ServerCase):
    def test_forms_of_a_request(self):
        one = self.ask(post({"text": "I love this!"})).json
        self.assertEqual(len(one), 1)
        self.assertEqual(set(one[0]), {"label", "confidence"})
        self.assertTrue(0.0 <= one[0]["confidence"] <= 1.0)
        for body in ({"inputs": "I love this!"}, {"inputs": ["I love this!"]}):
            self.assertEqual(self.ask(post(body)).json, one)
        for body in (' \n{ "inputs" : [ "I love this!" ] } \t', '{"te\\u0078t":"I l\\u006fve this!"}'):
            self.assertEqual(self.ask(post(body)).json, one)
        kind = "Application/JSON ; charset=\"utf-8\""
        self.assertEqual(self.ask(post({"text": "I love this!"}, content_type=kind)).json, one)
        self.assertEqual(self.ask(post({"text": "I love this!"}, path="http://test/infer?x=1")).json, one)

    def test_results_are_in_the_order_of_the_inputs(self):
        texts = [f"text number {i} " + "word " * (i % 17) for i in range(100)]
        alone = [self.ask(post({"text": t})).json[0] for t in texts]
        self.assertEqual(self.ask(post({"inputs": texts})).json, alone)
        self.assertEqual(self.ask(post({"inputs": texts[::-1]})).json, alone[::-1])
        # positive control: the texts do differ in their results, so an order can be seen
        self.assertGreater(len({json.dumps(a) for a in alone}), 20)

    def test_a_text_may_be_anything_but_empty(self):
        for text in (" ", "\u0000", "\U0001F600", "é" * 10000, "\u2028", "\"\\", "\x7f"):
            answer = self.ask(post({"text": text}))
            self.assertEqual((answer.status, len(answer.json)), (200, 1), answer)

    def test_truncation_is_counted(self):
        before = self.ask(get("/info")).json["counts"]["truncated_inputs"]
        self.ask(post({"inputs": ["short", "long " * 5000]}))
        self.assertEqual(self.ask(get("/info")).json["counts"]["truncated_inputs"], before + 1)

    def test_pages(self):
        self.assertEqual(self.ask(get("/healthz")).json, {"status": "ok"})
        self.assertEqual(self.ask(get("/livez")).json, {"status": "ok"})
        self.assertEqual(self.ask(get("/readyz")).json, {"status": "ready"})
        self.assertEqual([r["path"] for r in self.ask(get("/")).json["routes"]][:2], ["/infer", "/healthz"])
        info = self.ask(get("/info?x=y")).json
        self.assertEqual(info["name"], "inferd")
        for key in ("name", "labels", "dtype", "cpu_tier", "max_length"):
            self.assertIn(key, info["model"])
        self.assertGreaterEqual(info["threads"]["compute"], 1)
        self.assertEqual(info["limits"]["max_inputs"], 128)

    def test_head_is_get_without_the_body(self):
        s, r = self.connect()
        for path in ("/", "/healthz", "/info", "/nope"):
            s.sendall(get(path, method="HEAD"))
            head = r.answer(head_only=True)
            s.sendall(get(path))
            full = r.answer()
            self.assertEqual(head.status, full.status)
            if path != "/info":  # its counters move
                self.assertEqual(head.headers["content-length"], full.headers["content-length"])
        self.assert_usable(s, r)

    def test_a_library_client(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        for i in range(50):
            c.request("POST", "/infer", json.dumps({"inputs": ["a", "b " * (i + 1)]}),
                      {"Content-Type": "application/json"})
            self.assertEqual(len(json.loads(c.getresponse().read())), 2)

        def pieces():
            yield b'{"inputs":["a"'
            yield b',"b"]}'
        c.request("POST", "/infer", pieces(), {"Content-Type": "application/json"}, encode_chunked=True)
        self.assertEqual(len(json.loads(c.getresponse().read())), 2)
        c.close()

    def test_answers_do_not_depend_on_the_batch(self):
        """The same texts through batches of one text (and a token limit below a text's length)."""
        request = post({"inputs": [f"text number {i} " + "word " * (i % 60) for i in range(100)]})
        want = self.ask(request).json
        small = Server("--max-batch-size", "1", "--max-batch-tokens", "3", "--threads", "3")
        try:
            s = small.connect()
            s.sendall(request)
            self.assertEqual(Reader(s).answer().json, want)
            self.assertEqual(small.stop(), 0)
        finally:
            small.close()


if __name__ == "__main__":
    unittest.main()
