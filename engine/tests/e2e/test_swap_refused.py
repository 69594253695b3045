# SPDX-License-Identifier: Apache-2.0
"""Models that are refused while another serves on, and manifests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import unittest
from pathlib import Path

import zero_model
from harness import BIN, MODEL, PATIENCE_S
from swapping import Tensors, variant, write_manifest, admin, SwapCase


class Refused(SwapCase):
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


if __name__ == "__main__":
    unittest.main()
