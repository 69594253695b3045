# SPDX-License-Identifier: Apache-2.0
"""A candidate in the shadow: what it counts, and what it does not cost."""

from __future__ import annotations

import shutil
import struct
import time
import unittest
from pathlib import Path

import zero_model
from harness import MODEL, PATIENCE_S, Reader, Server, post
from swapping import GOLDEN, texts, offline, Tensors, admin, SwapCase


class Shadow(SwapCase):
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


if __name__ == "__main__":
    unittest.main()
