# SPDX-License-Identifier: Apache-2.0
"""fp32 speed of inferd beside ONNX Runtime on the same sentences, on one core, interleaved.

Rounds alternate between the engines, so a machine whose speed drifts slows both alike; the figure
of each case is the minimum over rounds. ONNX Runtime gets its best: a graph exported by torch,
fused by onnxruntime's own transformer optimiser, all optimisations, token ids ready made and
padded per batch to its longest text. inferd is timed from UTF-8 text to label, tokenising included.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import os
import platform
import tempfile
import time
from pathlib import Path


class ModelOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("dtype", ctypes.c_char_p), ("tier", ctypes.c_char_p),
                ("max_length", ctypes.c_uint32)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("threads", ctypes.c_uint32), ("max_batch_tokens", ctypes.c_uint32)]


class Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Result(ctypes.Structure):
    _fields_ = [("label", ctypes.c_uint32), ("confidence", ctypes.c_float), ("tokens", ctypes.c_uint32),
                ("truncated", ctypes.c_uint32)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 384)]


class Inferd:
    """The C library through its public header, for timing only."""

    def __init__(self, library: Path, model: Path, threads: int, tier: str | None):
        self.lib = ctypes.CDLL(str(library))
        self.error = Error()
        options = ModelOptions(ctypes.sizeof(ModelOptions), b"fp32", tier.encode() if tier else None, 0)
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.lib.inferd_model_open(str(model).encode(), ctypes.byref(options), ctypes.byref(self.model), ctypes.byref(self.error)))
        session = SessionOptions(ctypes.sizeof(SessionOptions), threads, 0)
        self.check(self.lib.inferd_session_open(self.model, ctypes.byref(session), ctypes.byref(self.session), ctypes.byref(self.error)))

    def check(self, status: int) -> None:
        if status:
            raise SystemExit(f"inferd: {self.error.message.decode()}")

    def prepare(self, texts: list[str]):
        raw = [t.encode() for t in texts]
        return ((Text * len(raw))(*[Text(r, len(r)) for r in raw]), len(raw), (Result * len(raw))())

    def run(self, batch) -> list[int]:
        texts, count, results = batch
        self.check(self.lib.inferd_classify(self.session, texts, ctypes.c_size_t(count), results, None, ctypes.byref(self.error)))
        return [r.label for r in results]


class OnnxRuntime:
    def __init__(self, model: Path, threads: int):
        import numpy
        import onnxruntime
        import torch
        from onnxruntime.transformers import optimizer
        from tokenizers import Tokenizer
        from transformers import AutoModelForSequenceClassification

        self.np, self.name = numpy, f"onnxruntime {onnxruntime.__version__} fp32"
        torch_model = AutoModelForSequenceClassification.from_pretrained(model, attn_implementation="eager").eval()

        class Plain(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = torch_model

            def forward(self, input_ids, attention_mask):
                return self.inner(input_ids=input_ids, attention_mask=attention_mask).logits

        config = json.loads((model / "config.json").read_text())
        heads = config.get("num_attention_heads") or config["n_heads"]
        hidden = config.get("hidden_size") or config["dim"]
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "model.onnx")
            ids = torch.ones(2, 8, dtype=torch.long)
            torch.onnx.export(Plain(), (ids, ids), path, input_names=["input_ids", "attention_mask"], output_names=["logits"],
                              dynamic_axes={"input_ids": {0: "b", 1: "s"}, "attention_mask": {0: "b", 1: "s"}},
                              opset_version=17, dynamo=False)
            fused = optimizer.optimize_model(path, model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=1)
            self.fusions = {k: v for k, v in fused.get_fused_operator_statistics().items() if v}
            fused.save_model_to_file(path)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.enable_truncation(128)
        self.tokenizer.enable_padding()

    def prepare(self, texts: list[str]):
        enc = self.tokenizer.encode_batch(texts)
        return {"input_ids": self.np.array([e.ids for e in enc], dtype=self.np.int64),
                "attention_mask": self.np.array([e.attention_mask for e in enc], dtype=self.np.int64)}

    def run(self, feed) -> list[int]:
        return self.session.run(None, feed)[0].argmax(-1).tolist()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--library", type=Path, required=True)
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--texts", type=Path, required=True, help="TSV with a header, text in the second column")
    p.add_argument("--count", type=int, default=192, help="sentences, from the top: arrival order")
    p.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--tier", default=None)
    p.add_argument("--csv", type=Path)
    args = p.parse_args()
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.threads]))

    texts = [line.split("\t", 1)[1].rstrip("\n") for line in args.texts.read_text(encoding="utf-8").split("\n")[1 : args.count + 1]]
    engines = {"inferd fp32": Inferd(args.library, args.model, args.threads, args.tier)}
    peer = OnnxRuntime(args.model, args.threads)
    engines[peer.name] = peer
    print(f"cpu: {platform.processor() or platform.machine()}, {args.threads} thread(s), load {os.getloadavg()[0]:.1f}; fusions of the peer's graph: {peer.fusions}")

    best: dict[tuple[str, int], float] = {}
    labels: dict[str, list[int]] = {}
    prepared = {(name, b): [engine.prepare(texts[i : i + b]) for i in range(0, len(texts), b)]
                for name, engine in engines.items() for b in args.batches}
    for round_number in range(args.rounds + 1):  # round 0 warms up
        for b in args.batches:
            for name, engine in engines.items():
                began = time.perf_counter()
                out = [engine.run(batch) for batch in prepared[name, b]]
                took = time.perf_counter() - began
                labels[name] = [x for part in out for x in part]
                if round_number:
                    best[name, b] = min(took, best.get((name, b), took))
        print(f"round {round_number}/{args.rounds}", end="\r", flush=True)
    ours, theirs = list(engines)
    agree = sum(a == b for a, b in zip(labels[ours], labels[theirs]))
    print(f"labels agree on {agree} of {len(texts)}")
    rows = []
    for b in args.batches:
        o, t = len(texts) / best[ours, b], len(texts) / best[theirs, b]
        rows.append([b, round(o, 1), round(t, 1), round(o / t, 2)])
        print(f"batch {b:3d}: {ours} {o:8.1f}/s   {theirs} {t:8.1f}/s   ratio {o / t:.2f}")
    if args.csv:
        with open(args.csv, "w", newline="", encoding="utf-8") as f:
            w = csv.writer(f)
            w.writerow(["batch", ours, theirs, "ratio"])
            w.writerows(rows)


if __name__ == "__main__":
    main()
