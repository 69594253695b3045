# SPDX-License-Identifier: Apache-2.0
"""Models that are swapped under traffic: orders, keys, what answers, the start."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import zero_model
from harness import BIN, MODEL, PATIENCE_S, Reader, Server, get, post
from swapping import KEY, OTHER_KEY, SwapCase, admin, offline, same, variant
from test_stream import HEAD, Lines, chunk


class Swap(SwapCase):
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

    def test_a_stream_that_is_open_over_a_swap(self):
        """Each line is answered once, in its place, by a model that served when it was sent."""
        server = self.start()
        models = [MODEL, self.other]
        want = {m: offline(m, ["a good film"]) for m in models}
        self.assertNotEqual(want[MODEL][0]["label"], want[self.other][0]["label"])  # or nothing would be seen
        s = server.connect()
        lines = Lines(s)
        s.sendall(HEAD)
        sent = 0
        for model in (MODEL, self.other, MODEL):
            if sent:
                self.assertEqual(admin(server, "load", {"path": model}).status, 200)
            for _ in range(20):
                s.sendall(chunk(b'"a good film"\n'))
                line = lines.line()
                self.assertEqual(line["index"], sent)
                self.assertTrue(same(line["results"], want[model]), (sent, model, line))
                sent += 1
        # and with lines under way while it is swapped: one after the other, none lost, none twice
        done = threading.Event()

        def write():
            while not done.is_set():
                s.sendall(chunk(b'"a good film"\n' * 20))
            s.sendall(b"0\r\n\r\n")
        writer = threading.Thread(target=write)
        writer.start()
        swaps = threading.Thread(target=lambda: [admin(server, "load", {"path": m}) for m in
                                                 (self.other, MODEL, self.other)] and done.set())
        swaps.start()
        got = lines.rest()
        writer.join()
        swaps.join()
        self.assertEqual([g["index"] for g in got], list(range(sent, sent + len(got))))
        self.assertTrue(all(any(same(g["results"], want[m]) for m in models) for g in got))
        labels = [g["results"][0]["label"] for g in got]
        changes = sum(a != b for a, b in zip(labels, labels[1:]))
        self.assertEqual(changes, 3)  # in order: a swap is seen once
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
        server.wait_for("keys read")
        self.assertEqual(admin(server, "").status, 401)
        self.assertEqual(admin(server, "", key=OTHER_KEY).status, 200)
        self.keys.write_text("short\n", encoding="ascii")
        server.signal(signal.SIGHUP)
        server.wait_for("keys not read again: the old ones stay")
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
