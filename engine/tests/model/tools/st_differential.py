#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our verdict on mutated safetensors files beside that of PyPI `safetensors`.

    python st_differential.py ST_VERDICT [RANDOM_MUTANTS]

ST_VERDICT is the test build's program of that name. What the reference refuses we must refuse. What
it accepts and we refuse is counted by our reason; a reason that STRICTER does not list is an error.
Exit 1 on any difference that is not listed. Needs PyPI safetensors.
"""

from __future__ import annotations

import collections
import json
import random
import re
import struct
import subprocess
import sys

import safetensors

# Where we are stricter on purpose (docs/model-directory.md): patterns of our messages.
STRICTER = {
    "duplicate tensor": r"tensor .* is there twice|overlaps another",
    "duplicate field": r"a field is there twice",
    "unknown field": r"unknown field",
    "__metadata__ twice": r"__metadata__ (is there|has .*) twice",
    "header does not begin with { and end with } and spaces": r"must begin with",
    "dtype that no BERT file has": r"unknown dtype \"(F4|F6_\w+|F8_E8M0|F8_\w+FNUZ|C64)\"",
    "control character in a name": r"control character",
    "empty name": r"empty name",
    "name longer than 512 bytes": r"longer than 512",
    "more than 8 dimensions": r"more than 8 dimensions",
    "__metadata__ null": r"__metadata__ must be an object of strings",
}


def build(header: str | bytes, data: bytes, size: int | None = None) -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(raw) if size is None else size) + raw + data


def base() -> tuple[str, bytes]:
    tensors = {"__metadata__": {"format": "pt", "k": "v"},
               "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
               "b": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]},
               "c": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]},
               "z": {"dtype": "BF16", "shape": [0, 5], "data_offsets": [40, 40]}}
    return json.dumps(tensors, separators=(",", ":")), bytes(range(40))


def flips() -> list[bytes]:
    """Every byte of prefix and header set to every other value."""
    file = build(*base())
    end = len(file) - 40
    return [file[:i] + bytes([v]) + file[i + 1:] for i in range(end) for v in range(256) if v != file[i]]


def cuts() -> list[bytes]:
    file = build(*base())
    return [file[:n] for n in range(len(file))] + [file + bytes(n) for n in range(1, 65)]


def pieces() -> list[bytes]:
    """Whole headers that say one thing wrong, and right ones that say it unusually."""
    header, data = base()
    tensor = '"t":{"dtype":"%s","shape":%s,"data_offsets":%s}'
    out = [build(" " * n + header, data) for n in range(3)]
    out += [build(header + tail, data) for tail in (" ", "   ", "\n", "\t", "\r", "\0", "{}", ",", "x")]
    for dtype in ("BOOL U8 I8 I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64 F8_E5M2 F8_E4M3 F8_E8M0 F4 F6_E2M3 "
                  "F6_E3M2 C64 F8_E4M3FNUZ F8_E5M2FNUZ f32 F128 I4 \\u00463 ''").split():
        out += [build("{" + tensor % (dtype, "[4]", f"[0,{n}]") + "}", bytes(n)) for n in (2, 3, 4, 8, 16, 32)]
    for shape in ("[4]", "[2,2]", "[4,1]", "[]", "[0]", "[-4]", "[4.0]", "[4e0]", "[04]", "[+4]", "[null]", '["4"]',
                  "[[4]]", "{}", "4", "null", "[18446744073709551615]", "[18446744073709551616]", "[-0]",
                  "[4294967296,4294967296]", "[4611686018427387904,4]", "[1,1,1,1,1,1,1,1,4]", "[4,]", "[,4]", "[4 ]"):
        out.append(build("{" + tensor % ("U8", shape, "[0,4]") + "}", bytes(4)))
    for offsets in ("[0,4]", "[0]", "[]", "[0,4,4]", "[4,0]", "[0,5]", "[1,5]", "[-0,4]", "[0.0,4]", "[0,4.0]", "null",
                    "[null,4]", "[0,18446744073709551615]", "[18446744073709551615,3]", "{}", '["0","4"]', "[0,4e0]"):
        out.append(build("{" + tensor % ("U8", "[4]", offsets) + "}", bytes(4)))
    for metadata in ("{}", '{"a":"b"}', '{"a":"b","a":"c"}', '{"a":1}', '{"a":null}', '{"a":{}}', "[]", "null", '""'):
        out.append(build('{"__metadata__":%s,%s}' % (metadata, tensor % ("U8", "[4]", "[0,4]")), bytes(4)))
        out.append(build('{"__metadata__":{},"__metadata__":%s,%s}' % (metadata, tensor % ("U8", "[4]", "[0,4]")), bytes(4)))
    for name in ("", "a\\u0000b", "a\\nb", "\\ud800", "\\ud83d\\ude00", "n" * 512, "n" * 513, "\\u0061", "a/b", "..", "\x7f"):
        out.append(build('{"%s":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}' % name, bytes(4)))
    for second in ("[0,4]", "[4,8]", "[0,0]"):
        out.append(build('{"t":%s,"t":%s}' % (json.dumps({"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}),
                                              '{"dtype":"U8","shape":[%d],"data_offsets":%s}' % (
                                                  0 if second == "[0,0]" else 4, second)),
                         bytes(8 if second == "[4,8]" else 4)))
    full = {"dtype": '"U8"', "shape": "[4]", "data_offsets": "[0,4]"}
    for drop in full:
        out.append(build('{"t":{%s}}' % ",".join(f'"{k}":{v}' for k, v in full.items() if k != drop), bytes(4)))
        out.append(build('{"t":{%s,"%s":%s}}' % (",".join(f'"{k}":{v}' for k, v in full.items()), drop, full[drop]), bytes(4)))
    for extra in ('"x":1', '"x":null', '"x":{"y":[]}', '"Shape":[4]'):
        out.append(build('{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4],%s}}' % extra, bytes(4)))
    out += [build('{"a":%s' % (c * 200), b"") for c in "[{"] + [build("[" * 100000, b"")]
    return out


def mutants(count: int, seed: int = 3) -> list[bytes]:
    """Random edits of headers of one to six tensors: offsets, names, order, bytes, structure."""
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        tensors, at = {}, 0
        for i in range(rng.randint(1, 6)):
            shape = [rng.randint(0, 4) for _ in range(rng.randint(0, 3))]
            dtype, width = rng.choice([("F32", 4), ("F16", 2), ("BF16", 2), ("I64", 8), ("U8", 1)])
            size = width
            for d in shape:
                size *= d
            tensors[rng.choice(["w", "b", "layer.0.w", "ä"]) + str(i)] = {
                "dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
            at += size
        data_size = at
        kind = rng.randint(0, 7)
        some = rng.choice(list(tensors.values()))
        if kind == 0:
            some["data_offsets"][rng.randint(0, 1)] += rng.choice([-8, -4, -1, 1, 4, 8])
        elif kind == 1:
            some["shape"] = some["shape"] + [rng.choice([0, 1, 2, 2**32, 2**63])]
        elif kind == 2:
            data_size += rng.choice([-4, -1, 1, 4])
        elif kind == 3:
            other = rng.choice(list(tensors.values()))
            some["data_offsets"], other["data_offsets"] = other["data_offsets"], some["data_offsets"]
        items = list(tensors.items())
        rng.shuffle(items)
        header = json.dumps(dict(items), ensure_ascii=rng.random() < 0.5,
                            separators=rng.choice([(",", ":"), (", ", ": ")])).encode()
        if kind >= 5:
            raw = bytearray(header)
            for _ in range(rng.randint(1, 3)):
                place = rng.randrange(len(raw))
                move = rng.randint(0, 3)
                if move == 0:
                    raw[place] = rng.randrange(256)
                elif move == 1:
                    raw.insert(place, rng.choice(b'{}[]",:0123456789 \n\\'))
                elif move == 2 and len(raw) > 2:
                    del raw[place]
                else:
                    end = min(len(raw), place + rng.randint(1, 30))
                    raw[place:place] = raw[place:end]
            header = bytes(raw)
        out.append(build(header, bytes(max(0, data_size))))
    return out


def reference(file: bytes) -> bool:
    try:
        safetensors.deserialize(file)
        return True
    except safetensors.SafetensorError:
        return False


def ours(program: str, files: list[bytes]) -> list[str]:
    stdin = b"".join(struct.pack("<I", len(f)) + f for f in files)
    out = subprocess.run([program], input=stdin, stdout=subprocess.PIPE, check=True).stdout
    lines = out.decode().split("\n")[:-1]
    if len(lines) != len(files):
        raise SystemExit(f"{program}: {len(lines)} verdicts on {len(files)} files")
    return lines


def main() -> None:
    program = sys.argv[1]
    groups = {"byte flips": flips(), "cuts and tails": cuts(), "pieces": pieces(),
              "random": mutants(int(sys.argv[2]) if len(sys.argv) > 2 else 50000)}
    failed = 0
    reasons: collections.Counter[str] = collections.Counter()
    for group, files in groups.items():
        accepted = refused = 0
        for file, verdict in zip(files, ours(program, files)):
            if not reference(file):
                refused += 1
                if verdict == "ok":
                    failed += 1
                    print(f"{group}: we accept what the reference refuses: {file!r}")
                continue
            accepted += 1
            if verdict == "ok":
                continue
            reason = next((r for r, p in STRICTER.items() if re.search(p, verdict)), None)
            reasons[reason or f"NOT LISTED: {verdict}"] += 1
            failed += reason is None
        print(f"{group}: {len(files)} files, the reference accepts {accepted} and refuses {refused}")
    print(f"stricter than safetensors {safetensors.__version__}:")
    for reason, n in reasons.most_common():
        print(f"  {n:6d}  {reason}")
    print(f"differences that are not listed: {failed}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
