# SPDX-License-Identifier: Apache-2.0
"""Other people's protocols, by bodies as their own documents write them: the same results as
/infer, their errors' shapes, their probes. tests/protocols/ has their clients."""

import json
import struct
import unittest

from harness import HERE, Reader, Server, ServerCase, get, post

TEXTS = ["a good film", "not a good film at all"]


def tensor(texts, **more):
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}], **more}


class Protocols(ServerCase):
    OPTIONS = ("--served-model-name", "m", "--max-length", "16", "--max-inputs", "4")
    INFER = "/v2/models/m/infer"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        answer = case.ask(post({"inputs": TEXTS, "parameters": {"top_k": 0, "raw_scores": True}}))
        cls.want = answer.json
        case.tearDown()

    def good(self, path, body):
        answer = self.ask(post(body, path=path))
        self.assertEqual(answer.status, 200, answer)
        return answer

    def check_scores(self, want, got, key, value):
        """TEI's list of labels, the best first."""
        self.assertEqual([s["label"] for s in got], [s["label"] for s in want["scores"]])
        for w, g in zip(want["scores"], got):
            self.assertAlmostEqual(g[key], w[value], places=5)

    def test_tei_predict(self):
        for path in ("/predict", "/invocations"):
            for inputs in (TEXTS[0], [TEXTS[0]]):
                self.check_scores(self.want[0], self.good(path, {"inputs": inputs}).json, "score", "confidence")
            answer = self.good(path, {"inputs": [[t] for t in TEXTS], "raw_scores": True, "truncate": True})
            for want, got in zip(self.want, answer.json):
                self.check_scores(want, got, "score", "logit")
        self.assertEqual(answer.headers["x-compute-type"], "cpu")
        self.assertEqual(answer.headers["x-compute-characters"], str(len("".join(TEXTS))))
        for name in ("x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"):
            self.assertRegex(answer.headers[name], r"\A\d+\Z")
        details = self.good("/infer", {"inputs": TEXTS, "parameters": {"details": True}}).json
        self.assertEqual(answer.headers["x-compute-tokens"], str(sum(d["details"]["tokens"] for d in details)))

    def test_tei_errors(self):
        for body, status, part in (({"inputs": [*TEXTS, "c"]}, 400, "pair"), ({"inputs": []}, 400, "empty"),
                                   ({"inputs": [[str(i)] for i in range(5)]}, 413, "--max-inputs 4"),
                                   ({"inputs": "w " * 40, "truncate": False}, 422, "more than 16 tokens")):
            answer = self.ask(post(body, path="/predict"))
            self.assertEqual(answer.status, status)
            self.assertEqual(set(answer.json), {"error", "error_type"})
            self.assertEqual(answer.json["error_type"], "Validation")
            self.assertIn(part, answer.json["error"])
        self.assertEqual(self.ask(post({"inputs": "w " * 40}, path="/predict")).headers["x-truncated-inputs"], "1")

    def test_vllm_classify(self):
        for path in ("/classify", "/v1/classify"):
            got = self.good(path, {"model": "m", "input": TEXTS, "user": "u"}).json
            self.assertEqual((got["object"], got["model"]), ("list", "m"))
            self.assertEqual(got["usage"]["prompt_tokens"], got["usage"]["total_tokens"])
            for i, (want, item) in enumerate(zip(self.want, got["data"])):
                self.assertEqual((item["index"], item["label"], item["num_classes"]),
                                 (i, want["label"], len(want["scores"])))
                self.assertAlmostEqual(max(item["probs"]), want["confidence"], places=5)
                self.assertAlmostEqual(sum(item["probs"]), 1, places=5)
        self.assertEqual(len(self.good("/classify", {"input": TEXTS[0]}).json["data"]), 1)
        for body, status, kind in (({"model": "other", "input": "a"}, 404, "NotFoundError"),
                                   ({"input": [1, 2]}, 400, "BadRequestError")):
            answer = self.ask(post(body, path="/classify"))
            self.assertEqual((answer.status, answer.json["error"]["code"], answer.json["error"]["type"]),
                             (status, status, kind))

    def test_kserve_v1(self):
        self.assertEqual(self.ask(get("/v1/models")).json, {"models": ["m"]})
        self.assertEqual(self.ask(get("/v1/models/m")).json, {"name": "m", "ready": True})
        got = self.good("/v1/models/m:predict", {"instances": [TEXTS[0], {"text": TEXTS[1]}]}).json
        self.assertEqual(got["predictions"], [{k: w[k] for k in ("label", "confidence")} for w in self.want])
        for path, status in (("/v1/models/x:predict", 404), ("/v1/models/m:explain", 404)):
            answer = self.ask(post({"instances": ["a"]}, path=path))
            self.assertEqual((answer.status, set(answer.json)), (status, {"error"}))
        self.assertEqual(self.ask(get("/v1/models/m:predict")).status, 405)

    def outputs(self, answer):
        return {o["name"]: o for o in answer.json["outputs"]}

    def test_oip_json(self):
        for path in (self.INFER, "/v2/models/m/versions/1/infer"):
            answer = self.good(path, tensor(TEXTS, id="req-9"))
            self.assertEqual((answer.json["id"], answer.json["model_name"]), ("req-9", "m"))
            out = self.outputs(answer)
            self.assertEqual(out["label"]["data"], [w["label"] for w in self.want])
            for got, want in zip(out["confidence"]["data"], self.want):
                self.assertAlmostEqual(got, want["confidence"], places=5)
            self.assertEqual(sorted(out["logits"]["data"]),
                             sorted(s["logit"] for w in self.want for s in w["scores"]))
            self.assertEqual(out["logits"]["shape"], [2, len(self.want[0]["scores"])])
        one = self.good(self.INFER, tensor(TEXTS, outputs=[{"name": "label"}]))
        self.assertEqual(list(self.outputs(one)), ["label"])
        self.assertNotIn("id", one.json)

    def test_oip_binary(self):
        data = b"".join(struct.pack("<I", len(t)) + t.encode() for t in TEXTS)
        head = json.dumps({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2, 1],
                                       "parameters": {"binary_data_size": len(data)}}],
                           "parameters": {"binary_data_output": True}}).encode()
        said = f"Inference-Header-Content-Length: {len(head)}\r\n"
        answer = self.ask(post(head + data, said, self.INFER, content_type="application/octet-stream"))
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/octet-stream"))
        size = int(answer.headers["inference-header-content-length"])
        outputs, rest, parts = json.loads(answer.body[:size])["outputs"], answer.body[size:], {}
        for o in outputs:
            n = o["parameters"]["binary_data_size"]
            parts[o["name"]], rest = rest[:n], rest[n:]
        self.assertEqual(rest, b"")
        self.assertEqual(parts["label"], b"".join(struct.pack("<I", len(w["label"])) + w["label"].encode()
                                                  for w in self.want))
        for got, want in zip(struct.unpack("<2f", parts["confidence"]), self.want):
            self.assertAlmostEqual(got, want["confidence"], places=5)
        for wrong in (0, len(head) - 1, len(head) + 1, len(head) + len(data), 99999999):
            answer = self.ask(post(head + data, f"Inference-Header-Content-Length: {wrong}\r\n", self.INFER))
            self.assertEqual((answer.status, list(answer.json)), (400, ["error"]), wrong)
        for wrong in ("-1", "x", ""):
            answer = self.ask(post(head + data, f"Inference-Header-Content-Length: {wrong}\r\n", self.INFER))
            self.assertEqual(answer.status, 400, wrong)

    def test_oip_binary_text_that_is_not_utf8(self):
        data = b"".join(struct.pack("<I", len(t)) + t for t in (b"fine", b"caf\xe9"))
        head = json.dumps({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2],
                                       "parameters": {"binary_data_size": len(data)}}]}).encode()
        answer = self.ask(post(head + data, f"Inference-Header-Content-Length: {len(head)}\r\n", self.INFER))
        self.assertEqual((answer.status, answer.json),
                         (400, {"error": "text 1 of \"text\" is not valid UTF-8 at byte 3"}))

    def test_oip_pages(self):
        self.assertEqual(self.ask(get("/v2")).json["name"], "inferd")
        self.assertEqual(self.ask(get("/v2/health/live")).json, {"live": True})
        self.assertEqual(self.ask(get("/v2/health/ready")).json, {"ready": True})
        for base in ("/v2/models/m", "/v2/models/m/versions/1"):
            self.assertEqual([i["name"] for i in self.ask(get(base)).json["inputs"]], ["text"])
            self.assertEqual(self.ask(get(base + "/ready")).json, {"name": "m", "ready": True})
            self.assertEqual(self.ask(get(base + "/config")).json["name"], "m")
        for path in ("/v2/models/x", "/v2/models/m/versions/2", "/v2/models/x/ready"):
            answer = self.ask(get(path))
            self.assertEqual((answer.status, set(answer.json)), (404, {"error"}))
        self.assertEqual(self.ask(get("/v2/models//ready")).status, 404)
        self.assertEqual(self.ask(post("", path="/v2/repository/index")).json[0]["state"], "READY")

    def test_oip_statistics(self):
        def stats():
            return self.ask(get("/v2/models/m/stats")).json["model_stats"][0]
        before = stats()
        self.good(self.INFER, tensor(TEXTS))
        after = stats()
        self.assertEqual(after["inference_count"] - before["inference_count"], 2)
        for name in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
            self.assertEqual(after["inference_stats"][name]["count"] - before["inference_stats"][name]["count"], 1)
        self.assertGreater(after["inference_stats"]["compute_infer"]["ns"],
                           before["inference_stats"]["compute_infer"]["ns"])
        self.assertGreater(after["last_inference"], 1_700_000_000_000)

    def test_tokenize(self):
        (tokens,) = self.good("/tokenize", {"inputs": "good film"}).json
        self.assertEqual([t["text"] for t in tokens], ["[CLS]", "good", "film", "[SEP]"])
        self.assertEqual([t["special"] for t in tokens], [True, False, False, True])
        both = self.good("/tokenize", {"inputs": TEXTS, "add_special_tokens": False}).json
        self.assertEqual([" ".join(t["text"] for t in tokens) for tokens in both], TEXTS)
        long = self.good("/tokenize", {"inputs": "good " * 40})
        self.assertEqual((len(long.json[0]), long.headers["x-truncated-inputs"]), (16, "1"))

    def test_probes(self):
        self.assertEqual(self.ask(get("/-/healthz")).body, b"success")
        self.assertEqual(self.ask(get("/-/routes")).json, {"/": "inferd"})
        for path in ("/health", "/ping"):
            self.assertEqual(self.ask(get(path)).status, 200)

    def test_routes_are_counted_by_their_pattern(self):
        self.good(self.INFER, tensor(TEXTS))
        self.ask(get("/v2/models/none/ready"))
        page = self.ask(get("/metrics")).body.decode()
        self.assertIn('route="/v2/models/{model}/infer",code="200"', page)
        self.assertIn('route="/v2/models/{model}/ready",code="404"', page)
        self.assertNotIn("models/none", page)


def golden_pairs(model):
    """(pair, logits) of tests/model/golden/MODEL/pairs.txt, those that are cut on the right and not empty."""
    found, right = [], False
    for line in (HERE.parent / "model" / "golden" / model / "pairs.txt").read_text(encoding="utf-8").splitlines():
        kind, _, value = line.partition(" ")
        if kind == "side":
            right = value == "right"
        elif kind in ("text", "pair"):
            pair = [value] if kind == "text" else [*pair, value]
        elif kind == "logits" and right and all(pair):
            found.append((pair, [float(x) for x in value.split()]))
    return found


class Pairs(unittest.TestCase):
    """TEI's pairs against transformers, which make_pairs.py asked."""

    def start(self, model, *options):
        server = Server("--dtype", "fp32", *options, model=str(HERE.parent / "model" / "golden" / model))
        self.addCleanup(server.close)
        s = server.connect()
        r = Reader(s)

        def ask(body, path="/predict"):
            s.sendall(post(body, path=path))
            return r.answer()
        return server, ask

    def test_pairs_are_as_transformers_has_them(self):
        for model in ("bert-f32", "bert-cased-f16-5", "bert-old-names", "distilbert-h36-f16"):
            server, ask = self.start(model)
            pairs = golden_pairs(model)
            self.assertGreater(len(pairs), 10)
            alone = [ask({"inputs": pair, "raw_scores": True}).json for pair, _ in pairs]
            for got, (pair, want) in zip(alone, pairs):
                for score, logit in zip((s["score"] for s in got), sorted(want, reverse=True)):
                    self.assertAlmostEqual(score, logit, delta=1e-4, msg=pair)
            # in a batch, among single texts: the same bits
            mixed = [x for pair, _ in pairs for x in (pair, pair[:1])]
            answer = ask({"inputs": mixed, "raw_scores": True})
            self.assertEqual(answer.json[::2], alone)
            self.assertEqual(answer.json[1::2], [ask({"inputs": p, "raw_scores": True}).json for p in mixed[1::2]])
            self.assertEqual(answer.headers["x-compute-characters"], str(sum(len(t) for p in mixed for t in p)))
            # the controls: neither the other order nor one text of both is the same
            there, back = ask({"inputs": ["a film", "bad"]}).json, ask({"inputs": ["bad", "a film"]}).json
            self.assertNotEqual(there, back)
            self.assertNotEqual(there, ask({"inputs": "a film bad"}).json)
            self.assertEqual(server.stop(), 0)

    def test_what_is_too_long(self):
        server, ask = self.start("bert-f32", "--max-length", "16", "--long-text", "window_mean")
        pair = ["good " * 12, "bad " * 9]
        for more, first, second in (({}, 6, 7), ({"truncate": True}, 6, 7)):  # longest first: 13 are left
            cut = ask({"inputs": pair, "raw_scores": True, **more})
            self.assertEqual(cut.headers["x-truncated-inputs"], "1")
            self.assertEqual(cut.headers["x-compute-tokens"], "16")
            by_hand = ["good " * second, "bad " * first]  # the odd one is the longer text's
            self.assertEqual(cut.json, ask({"inputs": by_hand, "raw_scores": True}).json)
        refused = ask({"inputs": pair, "truncate": False})
        self.assertEqual((refused.status, refused.json["error_type"]), (422, "Validation"))
        self.assertEqual(server.stop(), 0)

    def test_a_model_with_one_token_type_refuses(self):
        server, ask = self.start("bert-multilabel-bf16")
        for inputs in (["a", "b"], [["a"], ["b", "c"]]):
            refused = ask({"inputs": inputs})
            self.assertEqual((refused.status, refused.json["error_type"]), (400, "Validation"))
            self.assertIn("its type_vocab_size is 1", refused.json["error"])
        self.assertEqual(ask({"inputs": [["a"], ["b"]]}).status, 200)
        self.assertEqual(server.stop(), 0)


class NotReady(unittest.TestCase):
    def test_a_draining_server_is_not_ready(self):
        server = Server("--drain-delay", "1s")
        self.addCleanup(server.close)
        server.signal()
        server.wait_for("draining")
        for path in ("/health", "/ping", "/-/healthz", "/v2/health/ready"):
            s = server.connect()
            s.sendall(get(path))
            self.assertIn(b" 503 ", s.recv(4096), path)
        self.assertEqual(server.finish(), 0)


if __name__ == "__main__":
    unittest.main()
