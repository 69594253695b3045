#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the seed corpora corpus/safetensors and corpus/config (standard library only)."""

import json
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"


def write(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def st(name: str, header: str, data: bytes = b"", size: int | None = None) -> None:
    raw = header.encode()
    write("safetensors", name, struct.pack("<Q", len(raw) if size is None else size) + raw + data)


def entry(dtype: str, shape: list, begin: int, end: int) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def safetensors() -> None:
    two = {"a": entry("F32", [2, 3], 0, 24), "b.weight": entry("F16", [4], 24, 32)}
    st("two", compact({"__metadata__": {"format": "pt"}, **two}), bytes(32))
    st("spaces", compact(two) + "   ", bytes(32))
    st("pretty", json.dumps(two, indent=1), bytes(32))
    st("empty", "{}")
    st("metadata_only", compact({"__metadata__": {"a": "", "b": "\u00e9\n"}}))
    st("scalar_and_zero", compact({"s": entry("I64", [], 0, 8), "z": entry("BF16", [0, 7], 8, 8)}), bytes(8))
    st("escaped_names", '{"\\u0061\\ud83d\\ude00":{"data_offsets":[0,1],"shape":[1],"dtype":"BO\\u004fL"}}', b"x")
    st("all_dtypes", compact({d: entry(d, [1], i * 8, i * 8 + 8) for i, d in enumerate(["F64", "I64", "U64"])}), bytes(24))
    st("hole", compact({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 5, 9)}), bytes(9))
    st("overlap", compact({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}), bytes(6))
    st("twice", '{"a":%s,"a":%s}' % (compact(entry("U8", [1], 0, 1)), compact(entry("U8", [1], 1, 2))), bytes(2))
    st("extra_field", '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}', b"x")
    st("wrapping_shape", compact({"a": entry("F32", [2**62], 0, 0)}))
    st("big_offsets", compact({"a": entry("U8", [4], 2**64 - 4, 2**64)}), bytes(4))
    st("reversed_offsets", compact({"a": entry("U8", [0], 4, 0)}), bytes(4))
    st("rank9", compact({"a": entry("U8", [1] * 9, 0, 1)}), b"x")
    st("newline_after", compact(two) + "\n", bytes(32))
    st("deep", '{"a":' + "[" * 70)
    st("header_past_end", "{}", size=1 << 40)
    st("header_all_ones", "{}", size=2**64 - 1)
    write("safetensors", "short", b"\x02\0\0\0\0\0\0\0{")


def config() -> None:
    bert = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    distil = {"architectures": ["DistilBertForSequenceClassification"], "model_type": "distilbert"}
    cases = {
        "bert_defaults": bert,
        "bert_full": {**bert, "hidden_size": 36, "num_attention_heads": 3, "num_hidden_layers": 4,
                      "intermediate_size": 72, "vocab_size": 250, "max_position_embeddings": 64,
                      "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu",
                      "position_embedding_type": "absolute", "is_decoder": False,
                      "problem_type": "multi_label_classification",
                      "id2label": {"0": "a", "1": "b\u00e9", "2": "c"}, "num_labels": 3},
        "distilbert_full": {**distil, "dim": 48, "n_heads": 4, "n_layers": 2, "hidden_dim": 96,
                            "activation": "gelu", "sinusoidal_pos_embds": True, "num_labels": 1},
        "distilbert_common_names": {**distil, "hidden_size": 24, "num_attention_heads": 2},
        "gelu_new": {**bert, "hidden_act": "gelu_new\u001b"},
        "relative": {**bert, "position_embedding_type": "relative_key"},
        "decoder": {**bert, "is_decoder": True},
        "quantized": {**bert, "quantization_config": {"bits": 8}},
        "regression": {**bert, "problem_type": "regression"},
        "labels_gap": {**bert, "id2label": {"0": "a", "2": "b"}},
        "labels_same": {**bert, "id2label": {"0": "a", "1": "a"}},
        "labels_many": {**bert, "num_labels": 300},
        "other_architecture": {"architectures": ["RobertaForSequenceClassification"]},
        "index": {"metadata": {"total_size": 8}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}},
        "index_parent": {"weight_map": {"a": "../m-1.safetensors"}},
        "index_hidden": {"weight_map": {"a": ".safetensors"}},
        "index_empty": {"weight_map": {}},
    }
    for name, value in cases.items():
        write("config", name, compact(value).encode())
    write("config", "twice", b'{"vocab_size":1,"vocab_size":2}')
    write("config", "cut", b'{"architectures":["Bert')
    write("config", "not_utf8", b'{"a":"\xff"}')


if __name__ == "__main__":
    safetensors()
    config()
