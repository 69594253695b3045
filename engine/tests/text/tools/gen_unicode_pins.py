#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Derive the reference's Unicode behaviour per scalar and pin where utf8proc differs.

Asks PyPI `tokenizers` about each of the 1,112,064 Unicode scalars (BertNormalizer with each option
alone, NFD, BertPreTokenizer, the word and space tests of AddedToken), asks libutf8proc the same
through the rules that unicode.c applies, and writes

  src/text/unicode_pins.h           the differences, as sorted tables
  tests/text/golden/unicode_digest.h  a digest per plane of the *reference's* answers, which a unit
                                    test compares with what unicode.c computes for every scalar

Run from engine/:  python tests/text/tools/gen_unicode_pins.py   (needs PyPI tokenizers==0.23.3 and
libutf8proc.so.2, Debian libutf8proc2 2.8.0; about two minutes)
"""
import ctypes
import pathlib
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

DROP, BLANK, CJK, SPACE, PUNCT, MARK, WORD = (1 << i for i in range(7))
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
REFERENCE = "0.23.3"


def bert(**on):
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**off, **on})


class Reference:
    """What `tokenizers` does with one scalar."""

    def __init__(self):
        self.clean = bert(clean_text=True)
        self.cjk = bert(handle_chinese_chars=True)
        self.strip = bert(strip_accents=True)
        self.low = bert(lowercase=True)
        self.nfd_ = normalizers.NFD()
        self.pre = pre_tokenizers.BertPreTokenizer()
        self.word = self.added(single_word=True)
        self.left = self.added(lstrip=True)
        self.right = self.added(rstrip=True)

    @staticmethod
    def added(**flags):
        t = Tokenizer(models.WordPiece({"?": 0}, unk_token="?"))
        t.add_tokens([AddedToken("qq", normalized=False, **flags)])
        return t

    def flags(self, c):
        s = chr(c)
        w = "a" + s + "b"
        f = {w: 0, "ab": DROP, "a b": BLANK}[self.clean.normalize_str(w)] if s != " " else BLANK
        if self.cjk.normalize_str(w) != w:
            assert self.cjk.normalize_str(w) == "a " + s + " b"
            f |= CJK
        parts = [p for p, _ in self.pre.pre_tokenize_str(w)]
        if parts == ["a", "b"]:
            f |= SPACE
        elif parts == ["a", s, "b"]:
            f |= PUNCT
        else:
            assert parts == [w]
        if self.nfd_.normalize_str(s) == s and self.strip.normalize_str(s) == "":
            f |= MARK
        before = len(self.word.encode(s + "qq", add_special_tokens=False).ids)
        after = self.word.encode("qq" + s, add_special_tokens=False).ids != [1, 0]
        assert (self.word.encode(s + "qq", add_special_tokens=False).ids == [0]) == after
        assert before in (1, 2)
        f |= WORD if after else 0
        left = self.left.encode(s + "qq", add_special_tokens=False).ids == [1]
        right = self.right.encode("qq" + s, add_special_tokens=False).ids == [1]
        assert left == right == bool(f & SPACE), hex(c)
        return f

    def nfd(self, c):
        return [ord(x) for x in self.nfd_.normalize_str(chr(c))]

    def lower(self, c):
        return [ord(x) for x in self.low.normalize_str(chr(c))]

    def reorders(self, a, b):
        s = "a" + chr(a) + chr(b)
        n = self.nfd_.normalize_str(s)
        if n == s:
            return False
        assert n == "a" + chr(b) + chr(a)
        return True


class Utf8proc:
    """What unicode.c gets from libutf8proc before pins; keep the two alike."""

    class Property(ctypes.Structure):
        _fields_ = [("category", ctypes.c_int16), ("ccc", ctypes.c_int16)]

    def __init__(self):
        u = ctypes.CDLL("libutf8proc.so.2")
        u.utf8proc_unicode_version.restype = ctypes.c_char_p
        u.utf8proc_version.restype = ctypes.c_char_p
        u.utf8proc_category_string.restype = ctypes.c_char_p
        u.utf8proc_decompose_char.restype = ctypes.c_ssize_t
        u.utf8proc_get_property.restype = ctypes.POINTER(self.Property)
        self.u, self.buf, self.boundary = u, (ctypes.c_int32 * 32)(), ctypes.c_int(0)
        self.version = u.utf8proc_version().decode()
        self.unicode = u.utf8proc_unicode_version().decode()

    def flags(self, c):
        cat = self.u.utf8proc_category_string(c).decode()
        f = 0
        if c in (9, 10, 13):
            f |= BLANK | SPACE
        elif cat in ("Zs", "Zl", "Zp"):
            f |= BLANK | SPACE
        elif cat in ("Cc", "Cf", "Co") or c == 0xFFFD:
            f |= DROP
        if c in (0x0B, 0x0C, 0x85):
            f |= SPACE
        if cat[0] == "P" or (0x21 <= c <= 0x7E and not chr(c).isalnum()):
            f |= PUNCT
        if cat == "Mn":
            f |= MARK
        if cat[0] in "LM" or cat in ("Nd", "Nl", "Pc"):
            f |= WORD
        if any(a <= c <= b for a, b in CJK_RANGES):
            f |= CJK
        return f

    def nfd(self, c):
        n = self.u.utf8proc_decompose_char(c, self.buf, 32, 1 << 4, ctypes.byref(self.boundary))
        assert n > 0
        return list(self.buf[:n])

    def lower(self, c):
        return [self.u.utf8proc_tolower(c)]

    def ccc(self, c):
        return self.u.utf8proc_get_property(c).contents.ccc


CJK_RANGES = [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF),
              (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)]


def combining_classes(ref, lib, nfd):
    """Reference class of every scalar, found by how it sorts against one probe of each class."""
    low, high = 0x0334, 0x0345  # classes 1 and 240, the two ends
    probes = {}
    for c in SCALARS:
        k = lib.ccc(c)
        # a class that only newer Unicode has cannot be probed: the reference sees starters there
        if k and k not in probes and nfd[c] == [c] and (ref.reorders(high, c) or ref.reorders(c, low)):
            probes[k] = c
    order = sorted(probes)
    assert (probes[order[0]], probes[order[-1]]) == (low, high)
    for i, a in enumerate(order):
        for j, b in enumerate(order):
            assert ref.reorders(probes[a], probes[b]) == (i > j), (a, b)
    out = {}
    for c in SCALARS:
        if nfd[c] != [c] or not (ref.reorders(high, c) or ref.reorders(c, low)):
            # a starter moves in neither; a class equal to both ends is impossible (they differ)
            out[c] = 0
            continue
        same = [k for k in order
                if not ref.reorders(probes[k], c) and not ref.reorders(c, probes[k])]
        assert len(same) == 1, hex(c)
        out[c] = same[0]
    return out


def fnv(digest, data):
    for b in data:
        digest = ((digest ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return digest


def ranges(pairs):
    out = []
    for c, v in pairs:
        if out and out[-1][1] == c - 1 and out[-1][2] == v:
            out[-1][1] = c
        else:
            out.append([c, c, v])
    return out


def main():
    assert tokenizers.__version__ == REFERENCE, tokenizers.__version__
    ref, lib = Reference(), Utf8proc()
    flag_pins, lower_pins, nfd_pins, ccc_pins = [], [], [], []
    flags = {c: ref.flags(c) for c in SCALARS}
    nfd = {c: ref.nfd(c) for c in SCALARS}
    lower = {c: ref.lower(c) for c in SCALARS}
    ccc = combining_classes(ref, lib, nfd)
    for c in SCALARS:
        theirs = lib.flags(c)
        if nfd[c] != [c]:
            # MARK is only asked of fully decomposed scalars
            flags[c] = flags[c] & ~MARK | theirs & MARK
            stripped = [ord(x) for x in ref.strip.normalize_str(chr(c))]
            assert stripped == [d for d in nfd[c] if not flags[d] & MARK], hex(c)
        if flags[c] != theirs:
            flag_pins.append((c, flags[c]))
        if lower[c] != lib.lower(c):
            lower_pins.append((c, lower[c]))
        if nfd[c] != lib.nfd(c):
            nfd_pins.append((c, nfd[c]))
        if nfd[c] == [c] and ccc[c] != lib.ccc(c):
            ccc_pins.append((c, ccc[c]))
        elif nfd[c] != [c]:
            ccc[c] = lib.ccc(c)
        assert len(lower[c]) <= 2 and len(nfd[c]) <= 4
    pages = sorted({c >> 8 for c, _ in flag_pins + lower_pins + nfd_pins + ccc_pins})
    bits = [0] * (0x1100 // 32)
    for p in pages:
        bits[p >> 5] |= 1 << (p & 31)

    here = pathlib.Path.cwd()
    stamp = (f" * Generated by tests/text/tools/gen_unicode_pins.py; do not edit.\n"
             f" * Reference: PyPI tokenizers {REFERENCE}. Library: utf8proc {lib.version} "
             f"(Unicode {lib.unicode}).\n")
    with open(here / "src/text/unicode_pins.h", "w", encoding="utf-8") as f:
        f.write("/* SPDX-License-Identifier: Apache-2.0\n *\n"
                " * unicode_pins.h - where utf8proc and the reference tokenizer answer differently.\n *\n"
                + stamp +
                " * Read by unicode.c only. Constant data.\n */\n"
                "#ifndef IFD_TEXT_UNICODE_PINS_H\n#define IFD_TEXT_UNICODE_PINS_H\n\n"
                "#include <stdint.h>\n\n/* clang-format off */\n"
                f'#define PINS_UTF8PROC_UNICODE "{lib.unicode}"\n\n'
                "/* Bit p is set when some scalar of page p (scalar >> 8) is in one of the tables. */\n"
                "static const uint32_t pin_pages[] = {\n")
        for i in range(0, len(bits), 8):
            f.write("    " + " ".join(f"0x{b:08X}," for b in bits[i:i + 8]) + "\n")
        rows = ranges(flag_pins)
        f.write("};\n\n/* The reference's flags (enum ifd_unicode_flag) of a range. "
                f"{len(flag_pins)} scalars. */\n"
                "static const struct flag_pin { uint32_t first, last; uint8_t flags; } flag_pins[] = {\n")
        for a, b, v in rows:
            f.write(f"    {{0x{a:05X}, 0x{b:05X}, 0x{v:02X}}},\n")
        f.write("};\n\n/* The reference's lower case. */\n"
                "static const struct lower_pin { uint32_t c, to[2]; } lower_pins[] = {\n")
        for c, v in lower_pins:
            f.write(f"    {{0x{c:05X}, {{0x{v[0]:05X}, 0x{(v + [0])[1]:05X}}}}},\n")
        f.write("};\n\n/* The reference's canonical decomposition; zero ends it. */\n"
                "static const struct nfd_pin { uint32_t c, to[4]; } nfd_pins[] = {\n")
        for c, v in nfd_pins:
            f.write(f"    {{0x{c:05X}, {{" + ", ".join(f"0x{x:05X}" for x in (v + [0] * 4)[:4]) + "}},\n")
        f.write("};\n\n/* The reference's canonical combining class of a range. "
                f"{len(ccc_pins)} scalars. */\n"
                "static const struct ccc_pin { uint32_t first, last; uint8_t ccc; } ccc_pins[] = {\n")
        for a, b, v in ranges(ccc_pins):
            f.write(f"    {{0x{a:05X}, 0x{b:05X}, {v}}},\n")
        f.write("};\n/* clang-format on */\n\n#endif\n")

    digests = []
    for plane in range(17):
        d = 0xCBF29CE484222325
        for c in range(plane << 16, (plane + 1) << 16):
            if 0xD800 <= c < 0xE000:
                continue
            rec = [flags[c], ccc[c], len(nfd[c]), len(lower[c])]
            for x in nfd[c] + lower[c]:
                rec += [x & 255, x >> 8 & 255, x >> 16]
            d = fnv(d, rec)
        digests.append(d)
    with open(here / "tests/text/golden/unicode_digest.h", "w", encoding="utf-8") as f:
        f.write("/* SPDX-License-Identifier: Apache-2.0\n *\n"
                " * unicode_digest.h - FNV-1a 64 of the reference's answers for every scalar of a plane.\n *\n"
                + stamp +
                " * Per scalar: flags, class, NFD length, lower length, then 3 bytes (low first) of each\n"
                " * scalar of its NFD and of its lower case. Surrogates are left out.\n */\n"
                "#ifndef IFD_TESTS_UNICODE_DIGEST_H\n#define IFD_TESTS_UNICODE_DIGEST_H\n\n"
                "#include <stdint.h>\n\n/* clang-format off */\nstatic const uint64_t unicode_digest[17] = {\n")
        for d in digests:
            f.write(f"    0x{d:016X}u,\n")
        f.write("};\n/* clang-format on */\n\n#endif\n")
    print(f"{len(SCALARS)} scalars: {len(flag_pins)} flag pins in {len(rows)} ranges, "
          f"{len(lower_pins)} lower, {len(nfd_pins)} nfd, {len(ccc_pins)} ccc; {len(pages)} pages",
          file=sys.stderr)


if __name__ == "__main__":
    main()
