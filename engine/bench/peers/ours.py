# SPDX-License-Identifier: Apache-2.0
"""inferd through its public header, for timing only: UTF-8 texts in, labels out."""

from __future__ import annotations

import ctypes
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
    """full: every token of the last layer is computed, as peers do; needs libinferd_bench.so."""

    def __init__(self, library: Path, model: Path, threads: int, dtype: str, tier: str | None, full: bool = False):
        self.name = f"inferd {dtype}" + (f" {tier}" if tier else "") + (" full last layer" if full else "")
        self.lib = ctypes.CDLL(str(library))
        self.error = Error()
        options = ModelOptions(ctypes.sizeof(ModelOptions), dtype.encode(), tier.encode() if tier else None, 0)
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.lib.inferd_model_open(str(model).encode(), ctypes.byref(options), ctypes.byref(self.model),
                                              ctypes.byref(self.error)))
        session = SessionOptions(ctypes.sizeof(SessionOptions), threads, 0)
        self.check(self.lib.inferd_session_open(self.model, ctypes.byref(session), ctypes.byref(self.session),
                                                ctypes.byref(self.error)))
        if full:
            self.lib.bench_full_last_layer(self.session, ctypes.c_bool(True))

    def check(self, status: int) -> None:
        if status:
            raise RuntimeError(f"inferd: {self.error.message.decode()}")

    def prepare(self, texts: list[str]):
        raw = [t.encode() for t in texts]
        return (Text * len(raw))(*[Text(r, len(r)) for r in raw]), len(raw), (Result * len(raw))()

    def run(self, batch) -> list[int]:
        texts, count, results = batch
        self.check(self.lib.inferd_classify(self.session, texts, ctypes.c_size_t(count), results, None,
                                            ctypes.byref(self.error)))
        return [r.label for r in results]
