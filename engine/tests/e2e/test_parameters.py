# SPDX-License-Identifier: Apache-2.0
"""The parameters of POST /infer: scores, logits, details, and what is done with a long text."""

import math
import unittest

from harness import Server, ServerCase, get, post

WORDS = ["good", "film", "bad", "the", "not", "and", "it", "was", "very", "no"]


def softmax(x):
    e = [math.exp(v - max(x)) for v in x]
    return [v / sum(e) for v in e]


class Parameters(ServerCase):
    OPTIONS = ("--max-length", "16", "--max-inputs", "12")  # 14 tokens of a text

    def infer(self, inputs, **parameters):
        answer = self.ask(post({"inputs": inputs, "parameters": parameters}))
        self.assertEqual(answer.status, 200, answer)
        return answer

    def logits(self, text, truncation="none"):
        item = self.infer(text, top_k=0, raw_scores=True, truncation=truncation).json[0]
        return {s["label"]: s["logit"] for s in item["scores"]}

    def words(self, n, seed=0):
        """n tokens: each of WORDS is one."""
        return [WORDS[(i * i + seed * 7 + i) % len(WORDS)] for i in range(n)]

    def test_scores_and_logits(self):
        for item in self.infer(["a good film", "not a good film at all"], top_k=0, raw_scores=True).json:
            scores = item["scores"]
            self.assertGreaterEqual(len(scores), 2)
            self.assertEqual(scores, sorted(scores, key=lambda s: -s["logit"]))
            self.assertEqual({k: item[k] for k in ("label", "confidence", "logit")}, scores[0])
            for s, p in zip(scores, softmax([s["logit"] for s in scores])):
                self.assertAlmostEqual(s["confidence"], p, places=5)
        plain = self.infer("a good film").json
        self.assertEqual(set(plain[0]), {"label", "confidence"})
        self.assertEqual(len(self.infer("a good film", top_k=2).json[0]["scores"]), 2)
        self.assertNotIn("scores", self.infer("a good film", raw_scores=True).json[0])

    def test_details(self):
        answer = self.infer(["good film", " ".join(self.words(20))], details=True)
        short, long = (item["details"] for item in answer.json)
        self.assertEqual((short["tokens"], short["truncated"], short["windows"]), (4, False, 1))
        self.assertEqual((long["tokens"], long["truncated"], long["windows"]), (16, True, 1))
        self.assertEqual(set(long["ms"]), {"parse", "tokenize", "queue", "infer"})
        self.assertGreater(long["ms"]["infer"], 0)
        self.assertEqual(answer.headers["x-truncated-inputs"], "1")
        self.assertNotIn("x-truncated-inputs", self.infer("good film").headers)

    def test_which_end_is_kept(self):
        w = self.words(23)
        for how, kept in (("right", w[:14]), ("left", w[-14:]), ("head_tail", w[:3] + w[-11:])):
            cut = self.infer(" ".join(w), truncation=how, raw_scores=True)
            self.assertEqual(cut.headers["x-truncated-inputs"], "1")
            self.assertEqual(cut.json, self.infer(" ".join(kept), raw_scores=True).json, how)
        # the control: the ends differ
        self.assertNotEqual(self.logits(" ".join(w[:14])), self.logits(" ".join(w[-14:])))

    def test_none_refuses(self):
        for n, status in ((13, 200), (14, 200), (15, 422)):
            answer = self.ask(post({"inputs": ["good", " ".join(self.words(n))], "parameters": {"truncation": "none"}}))
            self.assertEqual(answer.status, status)
        self.assert_error(answer, 422, "text_too_long", "inputs[1] has more than 16 tokens")

    def test_windows(self):
        w = self.words(33)
        parts = [self.logits(" ".join(p)) for p in (w[:14], w[14:28], w[19:])]
        for how, pool in (("window_mean", lambda x: sum(x) / len(x)), ("window_max", max)):
            answer = self.infer(["good film", " ".join(w), "bad"], truncation=how, top_k=0, raw_scores=True, details=True)
            alone = [self.infer(t, top_k=0, raw_scores=True).json[0]["scores"] for t in ("good film", "bad")]
            first, long, last = answer.json
            self.assertEqual([first["scores"], last["scores"]], alone)
            self.assertEqual((long["details"]["tokens"], long["details"]["truncated"], long["details"]["windows"]),
                             (48, False, 3))
            self.assertNotIn("x-truncated-inputs", answer.headers)
            got = {s["label"]: s["logit"] for s in long["scores"]}
            for label, value in got.items():
                self.assertAlmostEqual(value, pool([p[label] for p in parts]), places=5)
            for s, p in zip(long["scores"], softmax([s["logit"] for s in long["scores"]])):
                self.assertAlmostEqual(s["confidence"], p, places=5)
            # without scores the label and its confidence are the pooled ones, too
            plain = self.infer(" ".join(w), truncation=how).json[0]
            self.assertEqual(plain, {k: long[k] for k in ("label", "confidence")})

    def test_windows_count_as_inputs(self):
        for n, status in ((12 * 14, 200), (12 * 14 + 1, 413)):
            answer = self.ask(post({"text": " ".join(self.words(n)), "parameters": {"truncation": "window_mean"}}))
            self.assertEqual(answer.status, status, n)
        self.assert_error(answer, 413, "too_many_inputs", "13 windows")

    def test_the_server_has_a_way_of_its_own(self):
        w = self.words(30)
        request = post({"inputs": ["bad", " ".join(w)]})
        for how, same in (("truncate", "right"), ("head_tail", "head_tail"), ("window_mean", "window_mean"),
                          ("window_max", "window_max")):
            server = Server("--max-length", "16", "--long-text", how)
            self.addCleanup(server.close)
            s = server.connect()
            s.sendall(request + get("/info") + get("/metrics"))
            reader = type(self.connect()[1])(s)
            self.assertEqual(reader.answer().json, self.infer(["bad", " ".join(w)], truncation=same).json)
            self.assertEqual(reader.answer().json["limits"]["long_text"], same)
            metrics = reader.answer().body.decode()
            windowed = how.startswith("window")
            self.assertIn(f"\ninferd_truncated_inputs_total {int(not windowed)}\n", metrics)
            self.assertIn(f"\ninferd_windowed_inputs_total {int(windowed)}\n", metrics)
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
