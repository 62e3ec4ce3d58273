#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds the characters that the tokenizers library and PCRE2 (or utf8proc) see differently.

  make_unicode.py table          rows for runtime/text/unicode.c (needs cc, PCRE2 32-bit)
  make_unicode.py inert          characters unknown to the library's normalisation tables
  make_unicode.py classes FILE   every character's category in the library, for the tests
  make_unicode.py forms FILE     checksums of all characters' normal forms in the library

Everything is asked of the libraries themselves, over all code points; nothing is taken from
a list of versions. FILE has one line "FIRST LAST CATEGORY" (hex) per range; what is not
listed is unassigned. Three more kinds of range: Word (what may not stand beside a single_word
token), Space (what lstrip takes along) and Number (what Digits cuts at).
The other FILE has a line "FIRST NFC NFD NFKC NFKD" per 4096 characters, CRC-32 of context().
"""
import subprocess
import sys
import tempfile
import unicodedata
import zlib

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po "
              "Sm Sc Sk So Zs Zl Zp Cc Cf Co").split()
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

PCRE2 = r"""
#define PCRE2_CODE_UNIT_WIDTH 32
#include <pcre2.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        PCRE2_UCHAR32 pattern[16];
        int n = 0, error;
        for (const char *c = argv[i]; *c; c++)
            pattern[n++] = (unsigned char)*c;
        size_t at;
        pcre2_code *code = pcre2_compile(pattern, n, PCRE2_UTF | PCRE2_UCP, &error, &at, 0);
        pcre2_match_data *match = pcre2_match_data_create(1, 0);
        for (PCRE2_UCHAR32 c = 0; c < 0x110000; c++)
            if ((c < 0xd800 || c > 0xdfff) && pcre2_match(code, &c, 1, 0, 0, match, 0) >= 0)
                printf("%s %x\n", argv[i], c);
    }
}
"""


def members_library(pattern):
    """The characters that a class matches in the library's pattern engine."""
    found = set()
    keep = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    for i in range(0, len(ALL), 4096):
        for piece, _ in keep.pre_tokenize_str("".join(map(chr, ALL[i:i + 4096]))):
            found.update(map(ord, piece))
    return found


def library():
    return {c: k for k in CATEGORIES for c in members_library(r"\p{%s}" % k)}


def pcre2():
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/p.c", "w") as f:
            f.write(PCRE2)
        subprocess.check_call(["cc", "-o", d + "/p", d + "/p.c", "-lpcre2-32"])
        patterns = {r"\p{%s}" % k: k for k in CATEGORIES}
        out = subprocess.check_output([d + "/p", *patterns, r"\s"], text=True)
    category, space = {}, set()
    for line in out.splitlines():
        pattern, c = line.split()
        if pattern == r"\s":
            space.add(int(c, 16))
        else:
            category[int(c, 16)] = patterns[pattern]
    return category, space


def ranges(pairs):
    """[(first, last, value)] of sorted (character, value)."""
    out = []
    for c, v in pairs:
        if out and out[-1][1] == c - 1 and out[-1][2] == v:
            out[-1][1] = c
        else:
            out.append([c, c, v])
    return out


def table():
    ours, space = pcre2()
    theirs = library()
    apart = {c for c in ALL if ours.get(c) != theirs.get(c)}
    apart |= space ^ members_library(r"\s")
    row = "    "
    for first, last, kind in ranges((c, theirs.get(c, "Cn")) for c in sorted(apart)):
        cell = "{ 0x%x, 0x%x, %s }, " % (first, last, kind.upper())
        if len(row) + len(cell) > 100:
            print(row.rstrip())
            row = "    "
        row += cell
    print(row.rstrip())


def inert():
    """A character the tables do not know does not move among marks, nor does it decompose."""
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    found = []
    for c in ALL:
        ch = chr(c)
        k = unicodedata.combining(ch)
        if nfd.normalize_str(ch) == ch != unicodedata.normalize("NFD", ch):
            found += [c, ord(unicodedata.normalize("NFD", ch)[-1])]  # nor does that compose
        elif nfkd.normalize_str(ch) == ch != unicodedata.normalize("NFKD", ch):
            found.append(c)
        elif k and unicodedata.normalize("NFD", ch) == ch:
            low, high = "a" + ch + "\u0334", "a\u0345" + ch  # classes 1 and 240
            if (k > 1 and nfd.normalize_str(low) == low) or (
                    k < 240 and nfd.normalize_str(high) == high):
                found.append(c)
    row = "    "
    for first, last, _ in ranges((c, 0) for c in sorted(found)):
        cell = "{ 0x%x, 0x%x }, " % (first, last)
        if len(row) + len(cell) > 100:
            print(row.rstrip())
            row = "    "
        row += cell
    print(row.rstrip())


def beside(token):
    """The characters that change how the token "Q7" is found when they follow it."""
    t = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    t.add_tokens([token])
    found = t.encode_batch(["Q7" + chr(c) for c in ALL], add_special_tokens=False)
    return {c for c, e in zip(ALL, found) if not e.offsets or e.offsets[0] != (0, 2)}


def digits():
    cut = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in ALL if len(cut.pre_tokenize_str("a" + chr(c))) == 2}


def classes(path):
    theirs = library()
    more = [("Word", beside(AddedToken("Q7", single_word=True, normalized=False))),
            ("Space", beside(AddedToken("Q7", rstrip=True, normalized=False))),
            ("Number", digits())]
    with open(path, "w") as f:
        for first, last, kind in ranges(sorted(theirs.items())):
            f.write("%x %x %s\n" % (first, last, kind))
        for name, members in more:
            for first, last, _ in ranges((c, 0) for c in sorted(members)):
                f.write("%x %x %s\n" % (first, last, name))


def context(c):
    """The character alone, before marks, between Hangul letters, and after a mark."""
    return f"{c}\na{c}\u0323\u0301\n\u1100{c}\u11a8\n\u0301{c}\u0334\n"


def forms(path):
    how = [normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD()]
    with open(path, "w") as f:
        for first in range(0, 0x110000, 4096):
            text = "".join(context(chr(c)) for c in range(first, first + 4096) if not 0xD800 <= c < 0xE000)
            sums = ["%08x" % zlib.crc32(n.normalize_str(text).encode()) for n in how]
            f.write("%x %s\n" % (first, " ".join(sums)))


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        table()
    elif sys.argv[1:] == ["inert"]:
        inert()
    elif len(sys.argv) == 3 and sys.argv[1] == "classes":
        classes(sys.argv[2])
    elif len(sys.argv) == 3 and sys.argv[1] == "forms":
        forms(sys.argv[2])
    else:
        sys.exit(__doc__)
