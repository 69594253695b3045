#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed corpus of fuzz_request (corpus/request): one body per form and per refusal. Run in
this folder; the files are committed."""

from pathlib import Path

SEEDS = {
    "text": b'{"text":"I love this!"}',
    "inputs_string": b'{"inputs":"one"}',
    "inputs_list": b' { "inputs" : [ "one" , "two\\n", "\xc3\xa9" ] } \n',
    "escapes": b'{"te\\u0078t":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\u0000"}',
    "utf8": b'{"text":"\xf0\x9f\x98\x80 \xe4\xb8\xad\xe6\x96\x87"}',
    "most": b'{"inputs":["1","2","3","4","5","6"]}',
    "too_many": b'{"inputs":["1","2","3","4","5","6","7"]}',
    "empty_list": b'{"inputs":[]}',
    "empty_item": b'{"inputs":["a",""]}',
    "number_item": b'{"inputs":["a",-1.5e+3]}',
    "null": b'{"inputs":null}',
    "nested": b'{"inputs":[["a"]]}',
    "both": b'{"inputs":["a"],"text":"b"}',
    "twice": b'{"text":"a","text":"b"}',
    "unknown": b'{"parameters":{"top_k":[1,true,false,null]}}',
    "long_key": b'{"' + b"\xc3\xa9" * 40 + b'":1}',
    "array": b'["a"]',
    "empty_object": b"{}",
    "nothing": b"",
    "lone_surrogate": b'{"text":"\\ud800x"}',
    "bad_utf8": b'{"text":"\xed\xa0\x80"}',
    "bom": b'\xef\xbb\xbf{"text":"a"}',
    "tail": b'{"text":"a"}x',
    "cut": b'{"inputs":["a","b',
    "control": b'{"text":"a\x01"}',
    "deep": b'{"inputs":' + b"[" * 70,
}

for name, seed in SEEDS.items():
    Path("request", name).write_bytes(seed)
print(f"{len(SEEDS)} seeds")
