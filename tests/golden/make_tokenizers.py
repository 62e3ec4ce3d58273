#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of the text room: small tokenizers of every family, and what the
tokenizers library makes of some thousands of strings with them.

  make_tokenizers.py [OUT]     default: tests/golden/text; run from the repository's root

Needs the tokenizers and transformers packages (made with tokenizers 0.23, transformers 5).
Each tokenizer is trained on models/data/valid.txt and on text made here from a seed, then
put into exactly the normalizer, pre_tokenizer, decoder and post_processor of the published
family. Nothing here is a published file. The output is the same on every run.

OUT/strings.jsonl       one string per line: a list of [text, repetitions]
OUT/FAMILY/tokenizer.json
OUT/FAMILY/ids.bin      per string: ids with the post-processor's, see write_numbers()
OUT/FAMILY/plain.bin    the same with encode_special_tokens, for the first PLAIN strings
OUT/FAMILY/decode.jsonl random ids: [[ids], all of them as text, the same without specials]
"""
import collections
import json
import os
import random
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,  # noqa: E402
                        pre_tokenizers, processors, trainers)

SEED = 20250101
PLAIN = 400  # strings at the beginning that are about special tokens

GPT2_CUT = ("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+")
LLAMA3_CUT = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
              " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
QWEN2_CUT = LLAMA3_CUT.replace("{1,3}", "")
O200K_CUT = ("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
             "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
             "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|"
             "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
CL100K_CUT = ("(?i:[sdmt]|ll|ve|re)'?|'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|"
              "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+")

# --- text ----------------------------------------------------------------------------------

# Scripts to write words in: (first, last) of runs of characters.
SCRIPTS = [
    (0x61, 0x7A), (0x41, 0x5A), (0xC0, 0x17F), (0x370, 0x3FF), (0x400, 0x45F), (0x531, 0x586),
    (0x5D0, 0x5EA), (0x620, 0x64A), (0x710, 0x72F), (0x904, 0x939), (0x985, 0x9B9),
    (0xA05, 0xA39), (0xB85, 0xBB9), (0xC05, 0xC39), (0xD05, 0xD39), (0xE01, 0xE30),
    (0xE81, 0xEB0), (0xF40, 0xF6C), (0x1000, 0x102A), (0x10D0, 0x10F0), (0x1100, 0x1112),
    (0x1200, 0x1248), (0x13A0, 0x13F4), (0x1780, 0x17A2), (0x1820, 0x1842), (0x1E00, 0x1EFF),
    (0x1F00, 0x1FFF), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x4FFF), (0x6000, 0x61FF),
    (0xA000, 0xA0FF), (0xAC00, 0xAFFF), (0x10330, 0x1034A), (0x10400, 0x1044F),
    (0x12000, 0x120FF), (0x1D400, 0x1D4FF), (0x20000, 0x200FF), (0x2F800, 0x2FA1D),
]
MARKS = [0x300, 0x301, 0x302, 0x303, 0x304, 0x307, 0x308, 0x30A, 0x30C, 0x31B, 0x323, 0x324,
         0x327, 0x328, 0x32D, 0x330, 0x331, 0x338, 0x342, 0x345, 0x35C, 0x360, 0x483, 0x591,
         0x5B0, 0x5BC, 0x610, 0x64B, 0x64E, 0x651, 0x670, 0x6D6, 0x93C, 0x94D, 0x9BC, 0xE38,
         0xE48, 0xF71, 0xF72, 0x302A, 0x3099, 0x309A, 0x1D165, 0x1D16D, 0x20D0, 0x20DD]
EMOJI = ["\U0001F600", "\U0001F44D\U0001F3FD", "\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466",
         "\u2764\uFE0F", "\U0001F1E9\U0001F1EA", "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
         "1\uFE0F\u20E3", "\U0001F9D1\U0001F3FF\u200D\U0001F680", "\u2615", "\U0001F3F3\uFE0F\u200D\U0001F308",
         "\U0001FAE8", "\U0001FAE9", "\U0001F469\u200D\u2764\uFE0F\u200D\U0001F48B\u200D\U0001F468"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0",
          "\u1680", "\u180e", "\u2000", "\u2003", "\u200a", "\u200b", "\u2028", "\u2029", "\u202f",
          "\u205f", "\u3000", "\ufeff", "\u2581"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Re", "'rE",
                "'VE", "'M", "'LL", "'lL", "'D", "\u2019s", "'\u017f", "'x", "''s", "'", "s'", "'\u212a"]
SPECIALS = ["<|endoftext|>", "<|begin_of_text|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>",
            "<|start_header_id|>", "<|end_header_id|>", "<think>", "</think>", "<s>", "</s>", "<unk>",
            "<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>", "<|end|>", "<|im_start", "<|", "|>",
            "<0x41>", "<mask>", "[left]", "[right]", "[word]", "[both]", "caf\u00e9", "cafe\u0301", "\u212bngstrom",
            "\u00c5ngstrom", "New York", "<ab>", "<abc>", "<abcd", "[lefty]"]


def word(rng, script=None, longest=9):
    first, last = script or rng.choice(SCRIPTS)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, longest)))


def multilingual(rng, lines):
    """Lines of made-up words, each word from a small set, so that merges come about."""
    words = [word(rng, s, 5) for s in SCRIPTS for _ in range(12)]
    out = []
    for _ in range(lines):
        n = rng.randint(3, 12)
        line = [rng.choice(words) for _ in range(n)]
        for i in range(n):
            k = rng.random()
            if k < 0.05:
                line[i] += chr(rng.choice(MARKS)) * rng.randint(1, 2)
            elif k < 0.08:
                line[i] += rng.choice(EMOJI)
            elif k < 0.12:
                line[i] = str(rng.randint(0, 10 ** rng.randint(1, 6)))
            elif k < 0.15:
                line[i] += rng.choice(CONTRACTIONS)
        out.append(rng.choice([" ", " ", " ", ", ", ""]).join(line) + rng.choice(["", ".", "!", "?\n", "\n\n"]))
    return out


def a_character(rng, plane):
    while True:
        c = plane * 0x10000 + rng.randint(0, 0xFFFF)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def strings(rng, tale):
    out = []
    # Special tokens in text: PLAIN strings.
    while len(out) < PLAIN:
        parts = []
        for _ in range(rng.randint(1, 5)):
            parts.append(rng.choice(SPECIALS))
            parts.append(rng.choice(["", "", " ", "  ", "\n", "a", " b", ".", "x ", word(rng, None, 4),
                                     "\u0301", "\u3000", "\u2581", "_", "7"]))
        if rng.random() < 0.5:
            parts.insert(0, rng.choice(["", " ", "Hello", "a ", "\u0301", "\n\n "]))
        out.append("".join(parts))
    # Every short string that matters.
    out += ["", " ", "  ", "\n", "a", " a", "a ", "\x00", "\x00\x00", "\x7f", "\x80", "\ufffd", "\uffff",
            "\U0010ffff", "\u2581", "\u2581\u2581", " \u2581 ", "\u0301", "a\u0301", "e\u0301\u0323",
            "\u1100\u1161\u11a8", "\uac00\u11a8", "\ud55c\uae00", "\u0f73\u0f71", "\u1e9b\u0323",
            "\u212b", "\u2126", "\u0340\u0341\u0343\u0344", "\u0958", "\u2adc", "\ufb1d", "\U0001d15e",
            "\uf900", "\u3099", "\u30ab\u3099", "\u0928\u093c", "\u09c7\u09be", "\U00011099\U000110ba",
            "\U00011935\U00011930", "\U00011938", "q\u0307\u0323", "\u0344", "\U0001d165\U0001d16e",
            "\ufeffBOM", "a\u200bb", "a\u180eb", "\u180e\u180e", "x\u0085y"]
    for c in range(0x00, 0x180):
        out.append("k" + chr(c) + chr(c) + " 1")
    for c in CONTRACTIONS:
        out += ["It" + c, "WE" + c + "!", c + c, " " + c + "z", "5" + c, "\n" + c + " "]
    for s in SPACES:
        out += [s, s + "a", "a" + s, "a" + s + "b", s * 3 + "7", "." + s + s, "a" + s + "\n" + s + "b",
                s + "\n", "\n" + s]
    # Runs of spaces, line ends and digits.
    for _ in range(160):
        out.append("".join(rng.choice(["", "x", "1", ".", "'s"]) + rng.choice(SPACES[:9]) * rng.randint(1, 5)
                           for _ in range(rng.randint(1, 5))))
    for n in list(range(1, 14)) + [31, 64]:
        out += ["9" * n, "a" + "0123456789" * (n // 10 + 1) + " " + "4" * n, "\u0663" * n, "\u00bd" * n,
                "1,234.5" * n]
    # Characters of every plane, alone and among others.
    for plane in range(17):
        for _ in range(16):
            c = a_character(rng, plane)
            out.append(c)
            out.append("a " + c + a_character(rng, plane) + " " + c + "1\n")
    # What the tables of the libraries see differently: one of each range, both ends.
    for first, last in apart():
        out.append("".join(f"{x}{chr(c)}" for c in sorted({first, last}) for x in ("a", " ", "1", ".")))
    # Marks, in and out of order.
    for _ in range(150):
        out.append("".join(rng.choice(["", "a", "o", "\u00e4", "\u1ea1", " ", "\uac00", "\u0915", "\u05d0", "I"]) +
                           "".join(chr(rng.choice(MARKS)) for _ in range(rng.randint(1, 5)))
                           for _ in range(rng.randint(1, 4))))
    # Emoji.
    for _ in range(60):
        out.append("".join(rng.choice(EMOJI + ["a", " ", "."]) for _ in range(rng.randint(1, 6))))
    # Words of many scripts, and tales.
    out += multilingual(rng, 240)
    for _ in range(260):
        at = rng.randint(0, len(tale) - 200)
        out.append(tale[at:at + rng.randint(5, 90)])
    for _ in range(60):  # broken up, in capitals, with noise
        at = rng.randint(0, len(tale) - 200)
        text = list(tale[at:at + rng.randint(5, 60)].upper() if rng.random() < 0.5 else tale[at:at + 40])
        for _ in range(4):
            text.insert(rng.randint(0, len(text)), a_character(rng, rng.choice([0, 0, 0, 1, 2, 3, 14, 16])))
        out.append("".join(text))
    lines = [[[s, 1]] for s in out]
    # Very long runs.
    for unit, n in (("a", 20000), (" ", 5000), ("\n", 3000), ("ab", 3000), ("0", 2000), ("\u00e9", 1000),
                    ("e\u0301", 1000), ("\u4e00", 700), ("\U0001F600", 500), ("'", 2000), ("'s", 1500),
                    ("\u0323\u0301", 800), ("the ", 1500), (" a", 2500), ("\r\n", 1500), ("\u2581", 1000),
                    ("<|im_start|>", 100), ("\u0000", 1000), ("\U0010ffff", 200), ("aA", 1000)):
        lines.append([[unit, n]])
        lines.append([["x ", 1], [unit, n // 20 + 90], [" y", 1]])
    return lines


def apart():
    """The rows of runtime/text/unicode.c, by which characters are told apart."""
    import re
    text = open("runtime/text/unicode.c", encoding="utf-8").read()
    text = text[text.index("} apart[]"):text.index("static const struct range space")]
    return [(int(a, 16), int(b, 16)) for a, b in re.findall(r"\{ (0x\w+), (0x\w+)", text)]


def whole(line):
    return "".join(text * n for text, n in line)


# --- tokenizers ----------------------------------------------------------------------------

def special(content, **kw):
    return AddedToken(content, special=True, normalized=False, **kw)


def train_bytes(corpus, cut, size, first=(), split=True):
    """A byte-level BPE, its vocabulary and merges."""
    t = Tokenizer(models.BPE())
    steps = [pre_tokenizers.Split(Regex(cut), "isolated")] if cut else []
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    t.pre_tokenizer = pre_tokenizers.Sequence(steps)
    t.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, special_tokens=list(first),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return json.loads(t.to_str())["model"]


def train_characters(corpus, size):
    """A BPE over characters with a space mark, byte fallback and <unk> <s> </s>."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    bytes_ = ["<0x%02X>" % b for b in range(256)]
    # The trainer's limit_alphabet takes the rare characters in no fixed order, so limit it here.
    count = collections.Counter("".join(corpus))
    common = set(sorted(count, key=lambda c: (-count[c], c))[:220])
    corpus = ["".join(c for c in line if c in common) for line in corpus]
    t.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=size, show_progress=False,
        special_tokens=["<unk>", "<s>", "</s>"] + bytes_))
    return json.loads(t.to_str())["model"]


def build(model, normalizer=None, pre_tokenizer=None, decoder=None, post_processor=None, added=()):
    """A Tokenizer of the trained model and the parts; added get the ids after the model's."""
    t = Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model}))
    if normalizer:
        t.normalizer = normalizer
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    if decoder:
        t.decoder = decoder
    t.add_tokens(list(added))
    if post_processor:
        t.post_processor = post_processor(t)
    return t


def cut_then_bytes(cut):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(cut), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])


def bos_template(bos):
    def make(t):
        return processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1",
                                             special_tokens=[(bos, t.token_to_id(bos))])
    return make


def llama_decoder():
    return decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                              decoders.Strip(" ", 1, 0)])


def families(corpus):
    small = corpus[::3]

    model = train_bytes(corpus, GPT2_CUT, 2000, ["<|endoftext|>"])
    yield "gpt2", build(
        model, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True),
        decoder=decoders.ByteLevel(), post_processor=lambda t: processors.ByteLevel(trim_offsets=False),
        added=[special("<|endoftext|>")])

    model = train_bytes(corpus, LLAMA3_CUT, 3000)
    model["ignore_merges"] = True
    model["merges"] = [m for i, m in enumerate(model["merges"]) if i % 9 or used(model, i)]
    yield "llama3", build(
        model, pre_tokenizer=cut_then_bytes(LLAMA3_CUT), decoder=decoders.ByteLevel(),
        post_processor=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=False),
                                                      bos_template("<|begin_of_text|>")(t)]),
        added=[special(s) for s in ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                                    "<|end_header_id|>", "<|eot_id|>")])

    model = train_bytes(corpus, QWEN2_CUT, 2500)
    yield "qwen2", build(
        model, normalizer=normalizers.NFC(), pre_tokenizer=cut_then_bytes(QWEN2_CUT),
        decoder=decoders.ByteLevel(), post_processor=lambda t: processors.ByteLevel(trim_offsets=False),
        added=[special(s) for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] +
              [AddedToken(s, normalized=False, special=False) for s in ("<think>", "</think>")])

    model = train_characters(corpus, 2000)
    llama2_added = [special("<unk>"), special("<s>"), special("</s>")]
    yield "llama2", build(
        model, normalizer=normalizers.Sequence([normalizers.Prepend("\u2581"),
                                                normalizers.Replace(" ", "\u2581")]),
        decoder=llama_decoder(), post_processor=bos_template("<s>"), added=llama2_added)

    yield "metaspace", build(
        model, pre_tokenizer=pre_tokenizers.Metaspace("\u2581", prepend_scheme="first", split=False),
        decoder=llama_decoder(), post_processor=bos_template("<s>"), added=llama2_added)

    # Without byte fallback, unknown characters are <unk>, each its own; older Metaspace decoder.
    model = dict(model, byte_fallback=False, fuse_unk=False)
    yield "metaspace-split", build(
        model, pre_tokenizer=pre_tokenizers.Metaspace("\u2581", prepend_scheme="always", split=True),
        decoder=decoders.Metaspace("\u2581", prepend_scheme="always"),
        added=llama2_added)

    # Every flag of added tokens, a normal form that moves more, digits, a space put in front.
    model = train_bytes(small, GPT2_CUT, 600)
    yield "flags", build(
        model, normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Replace("x", "kk")]),
        pre_tokenizer=pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)]),
        decoder=decoders.ByteLevel(),
        post_processor=lambda t: processors.TemplateProcessing(
            single="<s> <s> $A </s>", pair="$A $B",
            special_tokens=[("<s>", t.token_to_id("<s>")), ("</s>", t.token_to_id("</s>"))]),
        added=[special("<s>"), special("</s>"), AddedToken("<mask>", lstrip=True, special=True, normalized=False),
               AddedToken("[left]", lstrip=True, normalized=False), AddedToken("[right]", rstrip=True, normalized=False),
               AddedToken("[both]", lstrip=True, rstrip=True, normalized=True),
               AddedToken("[word]", single_word=True, normalized=False), AddedToken("caf\u00e9", normalized=True),
               AddedToken("\u212bngstrom", normalized=True, single_word=True), AddedToken("New York", normalized=False),
               AddedToken("<ab>", normalized=True), AddedToken("<abc>", normalized=False),
               AddedToken("x.", normalized=True), AddedToken(" b", normalized=False)])

    model = train_bytes(small, O200K_CUT, 700)
    yield "o200k", build(model, normalizer=normalizers.NFKC(), pre_tokenizer=cut_then_bytes(O200K_CUT),
                         decoder=decoders.ByteLevel(), added=[special("<|endoftext|>")])

    # All ways to keep what a pattern matches.
    model = train_bytes(small, CL100K_CUT, 500)
    yield "splits", build(
        model, normalizer=normalizers.NFKD(), pre_tokenizer=pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex("\\n+|\\."), "merged_with_previous"),
            pre_tokenizers.Split("e", "merged_with_next"),
            pre_tokenizers.Split(Regex("[A-Z\\p{Mn}]+"), "contiguous", invert=True),
            pre_tokenizers.Split(Regex("\\t|q+"), "removed"),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split(Regex(CL100K_CUT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        decoder=decoders.Sequence([decoders.ByteLevel()]))

    yield "tales", Tokenizer.from_file("models/tales-target/tokenizer.json")


def used(model, index):
    """Whether the token of a merge takes part in another merge."""
    joined = "".join(model["merges"][index])
    return any(joined in m for m in model["merges"])


# --- writing -------------------------------------------------------------------------------

def number(n):
    """Seven bits a byte, least first; the last has the top bit clear."""
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def write_numbers(path, lists):
    """Each list as its length and its items, all by number()."""
    with open(path, "wb") as f:
        for items in lists:
            f.write(number(len(items)) + b"".join(map(number, items)))


def fallback_text(t, ids, skip):
    """Byte fallback as docs/tokenizer.md has it: U+FFFD per maximal invalid part. The library
    gives one per byte of the whole run of byte tokens, and only so when any part is invalid."""
    out = b""
    for i in ids:
        token = t.id_to_token(i)
        if skip and t.get_added_tokens_decoder().get(i, AddedToken("")).special:
            continue
        token = token.replace("\u2581", " ")
        out += bytes([int(token[3:5], 16)]) if len(token) == 6 and token.startswith("<0x") else token.encode()
    text = out.decode("utf-8", errors="replace")
    return text[1:] if text.startswith(" ") else text


def decodes(name, t, rng, samples):
    size = t.get_vocab_size()
    fallback = name in ("llama2", "metaspace")
    same = 0
    # The library decodes a normalized added token to its normalised text, and does not skip it
    # as special then; here it stands for its content: docs/tokenizer.md.
    other = {i for i, a in t.get_added_tokens_decoder().items() if t.id_to_token(i) != a.content}
    for n in range(300):
        if n % 2:
            ids = [rng.randrange(size) for _ in range(rng.randint(0, 12))]
        else:  # ids of a text, cut somewhere and with something put in between
            ids = list(rng.choice(samples))[rng.randint(0, 4):][:rng.randint(1, 25)]
            if n % 4 == 0:
                ids.insert(rng.randint(0, len(ids)), rng.randrange(min(size, 300)))
        ids = [i for i in ids if i not in other]
        text, less = t.decode(ids, skip_special_tokens=False), t.decode(ids, skip_special_tokens=True)
        if fallback:
            same += text == fallback_text(t, ids, False)
            text, less = fallback_text(t, ids, False), fallback_text(t, ids, True)
        yield [ids, text, less]
    if fallback:
        print(f"  {same} of 300 decode as in the library, the others have an invalid run of bytes")


def write_family(out, name, t, lines):
    os.makedirs(f"{out}/{name}", exist_ok=True)
    t.no_truncation()
    t.no_padding()
    path = f"{out}/{name}/tokenizer.json"
    if name != "tales":
        document = json.loads(t.to_str(pretty=False))
        if name in ("gpt2", "llama2"):  # both ways to write merges
            document["model"]["merges"] = [" ".join(m) for m in document["model"]["merges"]]
        with open(path, "w", encoding="utf-8") as f:
            json.dump(document, f, ensure_ascii=False, separators=(",", ":"))
            f.write("\n")
        t = Tokenizer.from_file(path)
    texts = [whole(line) for line in lines]
    ids = [e.ids for e in t.encode_batch(texts, add_special_tokens=True)]
    write_numbers(f"{out}/{name}/ids.bin", ids)
    rng = random.Random(f"{SEED} decode {name}")
    with open(f"{out}/{name}/decode.jsonl", "w", encoding="utf-8") as f:
        for row in decodes(name, t, rng, [i for i in ids if 0 < len(i) < 60]):
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    t.encode_special_tokens = True
    write_numbers(f"{out}/{name}/plain.bin",
                  [e.ids for e in t.encode_batch(texts[:PLAIN], add_special_tokens=False)])
    print(f"{name}: {t.get_vocab_size()} tokens, {sum(map(len, ids))} ids")


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/text"
    rng = random.Random(SEED)
    tale = open("models/data/valid.txt", encoding="utf-8").read()
    corpus = tale.splitlines(keepends=True) + multilingual(rng, 1500)
    lines = strings(rng, tale)
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/strings.jsonl", "w", encoding="utf-8") as f:
        for line in lines:
            f.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(len(lines), "strings")
    for name, t in families(corpus):
        write_family(out, name, t, lines)


if __name__ == "__main__":
    main()
