# SPDX-License-Identifier: Apache-2.0
"""Models that are swapped under traffic: what answers, what is refused, what the shadow says."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import zero_model
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


class Swap(unittest.TestCase):
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

    # --- orders ---

    def test_load_promote_and_roll_back(self):
        server = self.start()
        state = admin(server, "").json
        one = state["active"]["digest"]
        self.assertEqual((state["candidate"], state["previous"], state["shadow"]), (None, None, None))
        self.assertRegex(one, "^sha256:[0-9a-f]{64}$")
        self.assert_answers_as(server, MODEL, one)

        state = admin(server, "load", {"path": self.other}).json
        two = state["active"]["digest"]
        self.assertNotEqual(one, two)
        self.assertEqual((state["active"]["path"], state["previous"]), (self.other, None))
        self.assert_answers_as(server, self.other, two)

        state = admin(server, "shadow", {"path": MODEL, "share": 0.5}).json
        self.assertEqual((state["active"]["digest"], state["candidate"]["digest"]), (two, one))
        self.assert_answers_as(server, self.other, two)
        for order in ("shadow", "load"):
            body = {"path": MODEL, "share": 1} if order == "shadow" else {"path": MODEL}
            self.assertEqual(admin(server, order, body).status, 409)
        state = admin(server, "promote").json
        self.assertEqual((state["active"]["digest"], state["candidate"], state["previous"]["digest"]),
                         (one, None, two))
        self.assert_answers_as(server, MODEL, one)
        for want, model in ((two, self.other), (one, MODEL), (two, self.other)):
            self.assertEqual(admin(server, "rollback").json["active"]["digest"], want)
            self.assert_answers_as(server, model, want)

        self.assertEqual(admin(server, "shadow", {"path": self.other, "share": 0}).status, 200)
        self.assertEqual(admin(server, "").json["previous"], None)  # it made room
        self.assertEqual(admin(server, "unload_candidate").json["candidate"], None)
        for order in ("promote", "rollback", "unload_candidate"):
            answer = admin(server, order)
            self.assertEqual((answer.status, answer.json["error"]["type"]), (409, "conflict"))
        self.assertEqual(server.stop(), 0)

    def test_who_may(self):
        server = self.start()
        for key in (None, "x", KEY + "0", KEY[:-1], KEY.upper()):
            for route, body in (("", None), ("load", {"path": MODEL}), ("promote", None)):
                answer = admin(server, route, body, key=key)
                self.assertEqual((answer.status, answer.json["error"]["type"]), (401, "unauthorized"))
                self.assertEqual(answer.headers["www-authenticate"], "Bearer")
        self.assertEqual(admin(server, "").status, 200)  # the control
        self.assertIn("/admin/models", self.ask(server, get("/")).body.decode())
        self.keys.write_text(OTHER_KEY + "\n", encoding="ascii")
        self.addCleanup(self.keys.write_text, KEY + "\n", "ascii")
        server.signal(signal.SIGHUP)
        server.wait_for("admin keys read")
        self.assertEqual(admin(server, "").status, 401)
        self.assertEqual(admin(server, "", key=OTHER_KEY).status, 200)
        self.keys.write_text("short\n", encoding="ascii")
        server.signal(signal.SIGHUP)
        server.wait_for("admin keys not read again: the old ones stay")
        self.assertEqual(admin(server, "", key=OTHER_KEY).status, 200)
        self.assertEqual(server.stop(), 0)

    def test_no_key_file_no_routes(self):
        server = Server()
        self.addCleanup(server.close)
        for route in ("", "load", "promote"):
            self.assertEqual(admin(server, route, {"path": MODEL} if route == "load" else None).status, 404)
        self.assertNotIn("/admin", self.ask(server, get("/")).body.decode())
        self.assertEqual(server.stop(), 0)

    def test_bad_key_files_stop_the_start(self):
        for text in (None, "", "short\n", "# nothing\n", "with space in the middle\n"):
            path = self.where / "bad-keys"
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text, encoding="ascii")
            done = subprocess.run([BIN, "serve", "--model", MODEL, "--port", "0", "--admin-key-file", str(path)],
                                  capture_output=True, timeout=PATIENCE_S)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(b"--admin-key-file", done.stderr)

    def test_bad_orders(self):
        server = self.start()
        cases = (("load", b"", 400), ("load", b"{}", 400), ("load", b'{"path":1}', 400),
                 ("load", b'{"path":""}', 400), ("load", b'{"path":"a","path":"b"}', 400),
                 ("load", b'{"path":"a","share":1}', 400), ("load", b'["a"]', 400), ("load", b'{"path":"a"', 400),
                 ("load", b'{"path":"a\\u0000b"}', 400), ("load", b'{"path":"\xff"}', 400),
                 ("shadow", b'{"path":"a"}', 400), ("shadow", b'{"path":"a","share":1.01}', 400),
                 ("shadow", b'{"path":"a","share":-0.1}', 400), ("shadow", b'{"path":"a","share":"1"}', 400),
                 ("promote", b'{"path":"a"}', 400), ("promote", b"[]", 400), ("promote", b"{}", 409),
                 ("load", b'{"path":"' + b"a" * 16384 + b'"}', 413), ("load", b'{"path":"' + b"a" * 16000 + b'"}', 422))
        for route, body, status in cases:
            answer = self.ask(server, post(body, f"Authorization: Bearer {KEY}\r\n", f"/admin/models/{route}"))
            self.assertEqual(answer.status, status, (route, body[:60], answer))
        auth = f"Authorization: Bearer {KEY}\r\n"
        self.assertEqual(self.ask(server, post(b"{}", auth, "/admin/models/load", "text/plain")).status, 415)
        self.assertEqual(self.ask(server, get("/admin/models/load", auth)).status, 405)
        self.assertEqual(self.ask(server, post(b"{}", auth, "/admin/models")).status, 405)
        self.assertEqual(server.stop(), 0)

    # --- bad models ---

    def bad_models(self):
        """(name, what the reason says, directory); each is a copy of a good one with one fault."""
        def fresh(name: str) -> Path:
            to = self.where / f"bad-{name}"
            shutil.copytree(MODEL, to)
            return to

        def tensors(name: str, change) -> Path:
            d = fresh(name)
            t = Tensors(d / "model.safetensors")
            change(t)
            t.write(d / "model.safetensors")
            return d

        def config(name: str, **keys) -> Path:
            d = fresh(name)
            c = json.loads((d / "config.json").read_text(encoding="utf-8"))
            c.update(keys)
            (d / "config.json").write_text(json.dumps(c), encoding="utf-8")
            return d

        def listed(name: str, change) -> Path:
            d = fresh(name)
            write_manifest(str(d))
            change(d)
            return d

        def cut(d: Path, name: str, by: int) -> None:
            os.truncate(d / name, (d / name).stat().st_size - by)

        def flip(d: Path, name: str, at: int) -> None:
            b = bytearray((d / name).read_bytes())
            b[at] ^= 1
            (d / name).write_bytes(b)

        def all_of(t: Tensors, name: str, value: bytes) -> None:
            begin, end = t.span(name)
            t.data[begin:end] = value * ((end - begin) // 4)

        def drop(t: Tensors, name: str) -> None:
            del t.header[name]

        huge = struct.pack("<f", 1e38)
        yield "nothing there", "no such model directory", self.where / "nowhere"
        yield "a file", "not a directory", Path(MODEL) / "config.json"
        (self.where / "bad-empty").mkdir()
        yield "empty", "config.json", self.where / "bad-empty"
        for gone in ("config.json", "model.safetensors", "tokenizer.json"):
            d = fresh(f"no-{gone}")
            (d / gone).unlink()
            yield f"without {gone}", "", d
        d = fresh("cut")
        cut(d, "model.safetensors", 1)
        yield "cut by a byte", "model.safetensors", d
        d = fresh("cut-half")
        cut(d, "model.safetensors", 100000)
        yield "cut by half", "model.safetensors", d
        d = fresh("no-weights")
        (d / "model.safetensors").write_bytes(b"")
        yield "empty weights", "model.safetensors", d
        yield "wrong shapes", "", config("shapes", hidden_size=24)
        yield "too many layers", "", config("layers", num_hidden_layers=99)
        yield "other architecture", "", config("arch", architectures=["GPT2LMHeadModel"])
        yield "regression", "", config("problem", problem_type="regression")
        yield "no label names fit", "", config("labels", num_labels=7)
        d = fresh("json")
        cut(d, "config.json", 5)
        yield "config is no JSON", "config.json", d
        d = fresh("tokenizer")
        cut(d, "tokenizer.json", 50)
        yield "tokenizer is no JSON", "tokenizer.json", d
        yield "NaN", "NaN", tensors("nan", lambda t: all_of(t, "classifier.bias", struct.pack("<f", float("nan"))))
        yield "overflow", "not finite", tensors("overflow", lambda t: (
            all_of(t, "classifier.weight", huge), all_of(t, "bert.pooler.dense.bias", huge)))
        yield "a tensor missing", "", tensors("missing", lambda t: drop(t, "classifier.bias"))
        yield "manifest: flipped weight", "model.safetensors", listed(
            "m-flip", lambda d: flip(d, "model.safetensors", 100001))
        yield "manifest: flipped tokenizer", "tokenizer.json", listed(
            "m-token", lambda d: (d / "tokenizer.json").write_bytes((d / "tokenizer.json").read_bytes() + b" "))
        yield "manifest: flipped itself", "SHA256SUMS", listed(
            "m-self", lambda d: (d / "SHA256SUMS").write_bytes(b"z" + (d / "SHA256SUMS").read_bytes()[1:]))
        yield "manifest: unlisted", "does not list", listed("m-less", lambda d: (d / "SHA256SUMS").write_text(
            (d / "SHA256SUMS").read_text(encoding="ascii").splitlines()[0] + "\n", encoding="ascii"))
        yield "manifest: empty", "does not list", listed("m-empty", lambda d: (d / "SHA256SUMS").write_bytes(b""))
        d = self.where / "bad-queue"
        yield "texts too long for the queue", "--max-queue-tokens", self.longer(d)

    def longer(self, to: Path) -> Path:
        """A model whose default length of texts is above what the test's server can queue."""
        zero_model.make(to, MODEL, 16, 32, 1)
        return to

    def test_bad_models_are_refused_and_the_old_one_serves_on(self):
        longest = json.loads((Path(MODEL) / "config.json").read_text(encoding="utf-8"))["max_position_embeddings"]
        server = self.start("--max-inputs", "40", "--max-queue-tokens", str(40 * min(128, longest)))
        digest = admin(server, "").json["active"]["digest"]
        refused = 0
        for name, reason, path in self.bad_models():
            if name.startswith("texts too long"):
                continue  # all golden models are of one length: see the test below
            for order, body in (("load", {"path": str(path)}), ("shadow", {"path": str(path), "share": 1})):
                with self.subTest(name, order=order):
                    answer = admin(server, order, body)
                    self.assertEqual((answer.status, answer.json["error"]["type"]), (422, "model_refused"), answer)
                    self.assertIn(reason, answer.json["error"]["message"])
                    refused += 1
                    state = admin(server, "").json
                    self.assertEqual((state["active"]["digest"], state["candidate"], state["loading"]),
                                     (digest, None, False))
                    self.assertEqual(state["last_error"]["message"], answer.json["error"]["message"])
            self.assert_answers_as(server, MODEL, digest)
        self.assertGreaterEqual(refused, 40)
        self.assertEqual(admin(server, "").json["refused"], refused)
        self.assertEqual(admin(server, "load", {"path": self.other}).status, 200)  # the control: a good one
        self.assertEqual(server.stop(), 0)
        print(f"{refused} bad models refused")

    def test_a_model_beyond_the_servers_limits_is_refused(self):
        """It takes longer texts than the queue was sized for."""
        short = self.where / "short"
        shutil.copytree(MODEL, short)
        c = json.loads((short / "config.json").read_text(encoding="utf-8"))
        t = Tensors(short / "model.safetensors")
        name = next(n for n in t.header if n.endswith("position_embeddings.weight"))
        rows, width = t.header[name]["shape"]
        self.assertGreater(rows, 16)
        begin, _end = t.span(name)
        gap = (rows - 16) * width * 4
        cut_at = begin + 16 * width * 4
        del t.data[cut_at:cut_at + gap]
        t.header[name].update(shape=[16, width], data_offsets=[begin, cut_at])
        for other, entry in t.header.items():
            if other not in (name, "__metadata__") and entry["data_offsets"][0] > begin:
                entry["data_offsets"] = [o - gap for o in entry["data_offsets"]]
        t.write(short / "model.safetensors")
        c["max_position_embeddings"] = 16
        (short / "config.json").write_text(json.dumps(c), encoding="utf-8")
        server = self.start("--max-inputs", "40", "--max-queue-tokens", str(40 * 16), model=str(short))
        answer = admin(server, "load", {"path": MODEL})
        self.assertEqual(answer.status, 422)
        self.assertIn("--max-queue-tokens", answer.json["error"]["message"])
        self.assertEqual(self.infer(server, ["a"]).status, 200)
        self.assertEqual(server.stop(), 0)

    # --- manifests ---

    def test_manifests_at_the_start_and_offline(self):
        model = variant(self.where, "listed")
        self.assertEqual(subprocess.run([BIN, "inspect", model, "--check"], capture_output=True).returncode, 4)
        write_manifest(model)
        sums = Path(model) / "SHA256SUMS"
        subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=model, check=True, capture_output=True)
        told = json.loads(subprocess.run([BIN, "inspect", model, "--check", "--json"], capture_output=True,
                                         check=True).stdout)
        self.assertEqual(told["digest"], "sha256:" + hashlib.sha256(sums.read_bytes()).hexdigest())
        server = self.start(model=model)
        active = admin(server, "").json["active"]
        self.assertEqual((active["digest"], active["manifest"]), (told["digest"], True))
        self.assertEqual(server.stop(), 0)
        with open(Path(model) / "config.json", "a", encoding="utf-8") as f:
            f.write("\n")  # the same model to a reader, not to the manifest
        for command in (("serve", "--port", "0", "--model", model), ("inspect", model), ("inspect", model, "--check")):
            done = subprocess.run([BIN, *command], capture_output=True, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 4, command)
            self.assertIn(b"config.json is not the file that SHA256SUMS lists", done.stderr)

    # --- under traffic ---

    def traffic(self, server: Server, seconds_or_event, clients: int = 4):
        """Clients that ask until told to stop; every answer as (status, digest, indices, body)."""
        stop, answers, faults = threading.Event(), [], []

        def client(seed: int) -> None:
            chance = random.Random(seed)
            try:
                s = server.connect()
                r = Reader(s)
                while not stop.is_set():
                    chosen = [chance.randrange(len(self.inputs)) for _ in range(chance.randint(1, 6))]
                    s.sendall(post({"inputs": [self.inputs[i] for i in chosen]}))
                    a = r.answer()
                    answers.append((a.status, a.headers.get("x-model-digest"), chosen, a.json))
            except (OSError, EOFError) as e:
                faults.append(e)

        threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
        for t in threads:
            t.start()
        try:
            seconds_or_event()
        finally:
            stop.set()
            for t in threads:
                t.join()
        return answers, faults

    def judge(self, answers, models: dict[str, str]) -> dict[str, int]:
        """models: digest -> directory. How many answers are not what the model that they name says?"""
        wrong = {"failed": 0, "wrong": 0}
        for status, digest, chosen, body in answers:
            if status != 200 or digest not in models:
                wrong["failed"] += 1
            elif not same(body, [self.want[models[digest]][i] for i in chosen]):
                wrong["wrong"] += 1
        return wrong

    def test_every_answer_is_of_the_model_that_it_names(self):
        # at idle priority few loads, or a busy machine makes this last for minutes
        for threads, priority, loads, shadows in (("2", "normal", 12, 6), ("1", "idle", 2, 1)):
            server = self.start("--http-threads", threads, "--load-priority", priority)
            one = admin(server, "").json["active"]["digest"]
            two = admin(server, "load", {"path": self.other}).json["active"]["digest"]

            def swaps() -> None:
                for i in range(loads):
                    self.assertEqual(admin(server, "load", {"path": MODEL if i % 2 == 0 else self.other}).status, 200)
                for i in range(shadows):
                    path = MODEL if i % 2 == 0 else self.other
                    self.assertEqual(admin(server, "shadow", {"path": path, "share": 0.7}).status, 200)
                    for order in ("promote", "rollback", "rollback", "rollback", "rollback"):
                        self.assertEqual(admin(server, order).status, 200)
                for _ in range(3):
                    server.signal(signal.SIGHUP)
                    time.sleep(0.1)

            answers, faults = self.traffic(server, swaps)
            self.assertEqual(faults, [])
            models = {one: MODEL, two: self.other}
            self.assertEqual(self.judge(answers, models), {"failed": 0, "wrong": 0})
            counts = {d: sum(a[1] == d for a in answers) for d in models}
            self.assertGreater(min(counts.values()), 10, counts)
            control = self.judge(answers, {one: self.other, two: MODEL})
            self.assertEqual(control["wrong"], len(answers))  # compared with the wrong model, all differ
            print(f"{threads} I/O threads, {loads} loads at {priority} priority, {5 * shadows} promotions and "
                  f"rollbacks: {len(answers)} answers, "
                  f"0 failed, 0 wrong; the control: {control['wrong']} wrong")
            self.assertEqual(server.stop(), 0)

    def test_sighup_loads_the_directory_again(self):
        model = variant(self.where, "reloaded")
        self.want[model] = self.want[self.other]
        server = self.start(model=model)
        two = admin(server, "").json["active"]["digest"]
        self.assert_answers_as(server, model, two)
        draft = Path(model) / "draft"
        shutil.copy(Path(MODEL) / "model.safetensors", draft)
        draft.rename(Path(model) / "model.safetensors")
        self.assert_answers_as(server, model, two)  # not before it is told
        server.signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE_S
        while admin(server, "").json["loads"] < 2 and time.monotonic() < end:
            time.sleep(0.01)
        one = admin(server, "").json["active"]["digest"]
        self.assertNotEqual(one, two)
        self.assert_answers_as(server, MODEL, one)
        (Path(model) / "model.safetensors").write_bytes(b"damaged")
        server.signal(signal.SIGHUP)
        server.wait_for("model refused")
        self.assert_answers_as(server, MODEL, one)
        self.assertEqual(server.stop(), 0)

    def test_one_load_at_a_time(self):
        """While a large model loads: 409 to others, SIGHUP ignored, a client that leaves forgotten."""
        for hidden, ffn, layers in ((256, 1024, 6), (768, 3072, 12), (1024, 4096, 24)):
            large = Path(zero_model.make(self.where / f"large-{hidden}", MODEL, hidden, ffn, layers))
            server = self.start("--max-batch-tokens", "128", "--max-batch-size", "4")
            digest = admin(server, "").json["active"]["digest"]
            s = server.connect()
            s.sendall(post({"path": str(large)}, f"Authorization: Bearer {KEY}\r\n", "/admin/models/load"))
            time.sleep(0.01)
            s.close()
            answer = admin(server, "load", {"path": MODEL})
            caught = answer.status == 409 and admin(server, "").json["loading"]
            if caught:
                self.assertIn("another model is being loaded", answer.json["error"]["message"])
                self.assert_answers_as(server, MODEL, digest)
                server.signal(signal.SIGHUP)
                if admin(server, "").json["loading"]:
                    server.wait_for("SIGHUP: the model is not loaded again")
                end = time.monotonic() + 3 * PATIENCE_S
                while admin(server, "").json["loading"] and time.monotonic() < end:
                    time.sleep(0.05)
                self.assertEqual(admin(server, "").json["active"]["path"], str(large))
                self.assertEqual(self.infer(server, ["a"]).json[0]["confidence"], 0.5)
            shutil.rmtree(large)
            self.assertEqual(server.stop(), 0)
            if caught:
                return
        self.fail("every model was loaded before a second order came; make them larger")

    def test_a_stop_does_not_wait_for_a_load(self):
        """SIGTERM while a model loads: who asked for it is told, and the server ends, exit code 0."""
        large = zero_model.make(self.where / "very-large", MODEL, 1024, 4096, 24)
        for first in (True, False):
            if first:
                server = self.start("--max-batch-tokens", "128", "--max-batch-size", "4", model=large,
                                    wait_ready=False)
            else:
                server = self.start("--max-batch-tokens", "128", "--max-batch-size", "4")
                s = server.connect()
                s.sendall(post({"path": large}, f"Authorization: Bearer {KEY}\r\n", "/admin/models/load"))
                time.sleep(0.1)
            server.signal()
            if not first:
                answer = Reader(s).answer()
                self.assertEqual((answer.status, answer.closes), (409, True), answer)
            self.assertEqual(server.finish(), 0)
            self.assertEqual(server.events("stopped")[0]["dropped"], 0)
        shutil.rmtree(large)

    # --- the shadow ---

    def test_the_shadow_counts_what_an_offline_count_counts(self):
        candidate = str(GOLDEN / "distilbert-sharded")  # another architecture, tokenizer and labels
        inputs = texts(160, seed=9)
        base = offline(MODEL, inputs)
        half = self.leaning(base, inputs)  # agrees on some texts and not on others
        server = self.start("--http-threads", "2")
        for model, share in ((half, 1.0), (candidate, 1.0), (self.other, 1.0), (half, 0.25)):
            want = offline(model, inputs)
            self.assertEqual(admin(server, "shadow", {"path": model, "share": share}).status, 200)
            sent, s = 0, server.connect()
            r = Reader(s)
            for i in range(0, len(inputs), 2):
                s.sendall(post({"inputs": inputs[i:i + 2]}))
                answer = r.answer()
                self.assertEqual(answer.status, 200)
                sent += 1
                if sent % 4 == 0:  # never more under way than may be: nothing is skipped
                    self.settled(server, int(sent * share) * 2)
            figures = self.settled(server, int(sent * share) * 2)
            chosen = [i for i in range(len(inputs)) if (i // 2 + 1) * share % 1 == 0]
            differ = sum(base[i]["label"] != want[i]["label"] for i in chosen)
            gap = max(abs(base[i]["confidence"] - want[i]["confidence"]) for i in chosen)
            self.assertEqual((figures["inputs"], figures["skipped_inputs"]), (len(chosen), 0))
            self.assertEqual(figures["disagreements"], differ)
            self.assertAlmostEqual(figures["largest_confidence_difference"], gap, places=5)
            self.assertAlmostEqual(figures["disagreement_rate"], differ / len(chosen), places=5)
            self.assertEqual(figures["compute_seconds"]["requests"], len(chosen) // 2)
            for side in ("active", "candidate"):
                f = figures["compute_seconds"][side]
                self.assertTrue(0 < f["mean"] <= f["p99"] and f["p50"] <= f["p99"], f)
            print(f"shadow of {Path(model).name} at {share}: {differ} of {len(chosen)} inputs differ, as offline")
            self.assertFalse(admin(server, "unload_candidate").json["shadow"]["running"])
            s.close()
        # the control: the same model in the shadow never disagrees
        self.assertEqual(admin(server, "shadow", {"path": MODEL, "share": 1}).status, 200)
        for i in range(0, 40, 2):
            self.assertEqual(self.infer(server, inputs[i:i + 2]).status, 200)
            figures = self.settled(server, i + 2)
        self.assertEqual((figures["disagreements"], figures["largest_confidence_difference"]), (0, 0))
        self.assertEqual(server.stop(), 0)

    def leaning(self, base: list[dict], inputs: list[str]) -> str:
        """The active model with its bias moved until a part of the labels change."""
        to = self.where / "leaning"
        shutil.copytree(MODEL, to)
        t = Tensors(to / "model.safetensors")
        begin, end = t.span("classifier.bias")
        first = struct.unpack("<2f", t.data[begin:end])
        for step in range(-20, 21):
            t.data[begin:end] = struct.pack("<2f", first[0] + 0.05 * step, first[1])
            t.write(to / "model.safetensors")
            differ = sum(a["label"] != b["label"] for a, b in zip(base, offline(str(to), inputs)))
            if 30 < differ < 130:
                return str(to)
        raise AssertionError("no bias makes the two differ on a part of the texts")

    def settled(self, server: Server, inputs: int) -> dict:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            figures = admin(server, "").json["shadow"]
            if figures["inputs"] + figures["skipped_inputs"] >= inputs:
                return figures
            time.sleep(0.002)
        raise AssertionError(f"the shadow stands still: {figures}")

    def test_the_shadow_skips_rather_than_queues(self):
        """A candidate that is far too slow costs no request and no unbounded memory."""
        slow = zero_model.make(self.where / "slow", MODEL, 768, 3072, 12)
        server = self.start("--threads", "1", "--max-batch-tokens", "512", "--max-batch-size", "8",
                            "--max-inputs", "8")
        self.assertEqual(admin(server, "shadow", {"path": slow, "share": 1}).status, 200)
        clients = [server.connect() for _ in range(20)]  # more at once than may be under way
        for _ in range(3):
            for s in clients:
                s.sendall(post({"inputs": ["a word"]}))
            for s in clients:
                self.assertEqual(Reader(s).answer().status, 200)
        figures = self.settled(server, 60)
        self.assertEqual(figures["inputs"] + figures["skipped_inputs"], 60)
        self.assertGreater(figures["skipped_inputs"], 0)
        self.assertEqual(server.stop(), 0)

    # --- the start ---

    def test_progress(self):
        """/readyz tells a real, growing share."""
        for hidden, ffn, layers in ((256, 1024, 6), (768, 3072, 12), (1024, 4096, 24)):
            with tempfile.TemporaryDirectory() as where:
                model = zero_model.make(Path(where) / "large", MODEL, hidden, ffn, layers)
                server = self.start("--max-batch-tokens", "128", "--max-batch-size", "4", model=model,
                                    wait_ready=False)
                s = server.connect()
                r = Reader(s)
                seen: list[tuple[int, dict]] = []
                end = time.monotonic() + 3 * PATIENCE_S
                while time.monotonic() < end and (not seen or seen[-1][0] != 200):
                    s.sendall(get("/readyz"))
                    a = r.answer()
                    seen.append((a.status, a.json))
                    time.sleep(0.002)
                self.assertEqual(seen[-1], (200, {"status": "ready"}))
                told = [j["progress"] for _status, j in seen if j["status"] == "loading"]
                self.assertEqual(told, sorted(told))
                self.assertTrue(all(0 <= p < 1 for p in told))
                order = [j["status"] for _status, j in seen]
                self.assertEqual(order, sorted(order, key=["loading", "warming", "ready"].index))
                self.assertEqual(server.stop(), 0)
                if len(set(told)) >= 5 and any(0.05 < p < 0.95 for p in told):
                    print(f"progress: {len(set(told))} values from {min(told)} to {max(told)}")
                    return
        self.fail("every load was over before its progress could be seen; make the models larger")


if __name__ == "__main__":
    unittest.main()
