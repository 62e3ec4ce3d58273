# SPDX-License-Identifier: Apache-2.0
"""Byte-level BPE (GPT-2 pre-tokenisation): a small trainer and encoder, no dependency but `regex`."""
import collections, json
import regex

PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
SPECIALS = ['<|bos|>', '<|eos|>', '<|user|>', '<|assistant|>', '<|end|>']


def byte_alphabet():
    """GPT-2's printable stand-in for each byte, in GPT-2's id order."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, n = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + n)
            n += 1
    return table


BYTES = byte_alphabet()
UNBYTES = {c: b for b, c in BYTES.items()}


def train(text, vocab_size):
    """Merges for a vocabulary of 256 bytes + merges + SPECIALS; incremental pair counts."""
    words = collections.Counter(PATTERN.findall(text))
    seqs = [[BYTES[b] for b in w.encode()] for w in words]
    freq = list(words.values())
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, s in enumerate(seqs):
        for p in zip(s, s[1:]):
            pairs[p] += freq[i]
            where[p].add(i)
    merges = []
    while 256 + len(merges) + len(SPECIALS) < vocab_size:
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for i in list(where[best]):
            s, f = seqs[i], freq[i]
            for p in zip(s, s[1:]):
                pairs[p] -= f
            out, k = [], 0
            while k < len(s):
                if k + 1 < len(s) and (s[k], s[k + 1]) == best:
                    out.append(s[k] + s[k + 1])
                    k += 2
                else:
                    out.append(s[k])
                    k += 1
            seqs[i] = out
            for p in zip(out, out[1:]):
                pairs[p] += f
                where[p].add(i)
        del pairs[best], where[best]
    return merges


class Tokenizer:
    def __init__(self, path):
        t = json.load(open(path))
        self.vocab = t['model']['vocab']
        self.rank = {tuple(m.split(' ')) if isinstance(m, str) else tuple(m): i
                     for i, m in enumerate(t['model']['merges'])}
        self.special = {a['content']: a['id'] for a in t['added_tokens']}
        self.text = {i: s for s, i in list(self.vocab.items()) + list(self.special.items())}
        self.split = regex.compile('(' + '|'.join(regex.escape(s) for s in self.special) + ')')
        self.bos, self.eos = self.special['<|bos|>'], self.special['<|eos|>']
        self.cache = {}

    def word(self, w):
        ids = self.cache.get(w)
        if ids is None:
            s = [BYTES[b] for b in w.encode()]
            while len(s) > 1:
                r, k = min((self.rank.get(p, 1 << 30), k) for k, p in enumerate(zip(s, s[1:])))
                if r == 1 << 30:
                    break
                s[k:k + 2] = [s[k] + s[k + 1]]
            ids = self.cache[w] = [self.vocab[x] for x in s]
        return ids

    def encode(self, text, specials=True):
        out = []
        for part in self.split.split(text) if specials else [text]:
            if specials and part in self.special:
                out.append(self.special[part])
            else:
                for w in PATTERN.findall(part):
                    out.extend(self.word(w))
        return out

    def decode(self, ids):
        out = bytearray()
        for i in ids:
            t = self.text[int(i)]
            out += t.encode() if t in self.special else bytes(UNBYTES[c] for c in t)
        return out.decode('utf-8', 'replace')
