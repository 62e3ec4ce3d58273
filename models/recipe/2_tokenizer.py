#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Train the shared tokenizer, write its Hugging Face files, tokenise the corpus.

  2_tokenizer.py --data DIR --out DIR [--vocab 2048]

Reads DATA/train.txt and valid.txt; writes OUT/tokenizer.json, tokenizer_config.json and
special_tokens_map.json, then DATA/train.bin and valid.bin (uint16 ids). One document in twelve is laid
out as a chat - the user gives an opening, the assistant goes on with it - so that the chat markers work.
"""
import argparse, json, os, random, re
import numpy as np
import bpe


def docs(path):
    return [d for d in open(path).read().split('\n\n') if d.strip()]


CHAT = ("{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}{{ '<|assistant|>' + m['content'] "
        "+ '<|end|>' }}{% else %}{{ '<|user|>' + m['content'] + '<|end|>' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")


def main():
    a = argparse.ArgumentParser()
    a.add_argument('--data', required=True)
    a.add_argument('--out', required=True)
    a.add_argument('--vocab', type=int, default=2048)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    text = open(a.data + '/train.txt').read()
    merges = bpe.train(text.replace('\n\n', '\n'), a.vocab)
    tokens = [bpe.BYTES[b] for b in sorted(bpe.BYTES)] + [x + y for x, y in merges]
    assert len(set(tokens)) == len(tokens)
    vocab = {t: i for i, t in enumerate(tokens)}
    added = [{'id': len(tokens) + i, 'content': s, 'single_word': False, 'lstrip': False, 'rstrip': False,
              'normalized': False, 'special': True} for i, s in enumerate(bpe.SPECIALS)]
    level = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': True}
    bos = {'id': '<|bos|>', 'ids': [added[0]['id']], 'tokens': ['<|bos|>']}
    tok = {'version': '1.0', 'truncation': None, 'padding': None, 'added_tokens': added, 'normalizer': None,
           'pre_tokenizer': level,
           'post_processor': {'type': 'TemplateProcessing',
                              'single': [{'SpecialToken': {'id': '<|bos|>', 'type_id': 0}},
                                         {'Sequence': {'id': 'A', 'type_id': 0}}],
                              'pair': [{'SpecialToken': {'id': '<|bos|>', 'type_id': 0}},
                                       {'Sequence': {'id': 'A', 'type_id': 0}},
                                       {'Sequence': {'id': 'B', 'type_id': 1}}],
                              'special_tokens': {'<|bos|>': bos}},
           'decoder': level,
           'model': {'type': 'BPE', 'dropout': None, 'unk_token': None, 'continuing_subword_prefix': None,
                     'end_of_word_suffix': None, 'fuse_unk': False, 'byte_fallback': False,
                     'ignore_merges': False, 'vocab': vocab, 'merges': ['%s %s' % m for m in merges]}}
    json.dump(tok, open(a.out + '/tokenizer.json', 'w'), ensure_ascii=False, indent=1)
    json.dump({'tokenizer_class': 'PreTrainedTokenizerFast', 'bos_token': '<|bos|>', 'eos_token': '<|eos|>',
               'pad_token': '<|eos|>', 'additional_special_tokens': bpe.SPECIALS[2:], 'add_bos_token': True,
               'add_eos_token': False, 'clean_up_tokenization_spaces': False, 'model_max_length': 512,
               'added_tokens_decoder': {str(t['id']): {k: v for k, v in t.items() if k != 'id'} for t in added},
               'chat_template': CHAT}, open(a.out + '/tokenizer_config.json', 'w'), indent=1)
    json.dump({'bos_token': '<|bos|>', 'eos_token': '<|eos|>', 'pad_token': '<|eos|>',
               'additional_special_tokens': bpe.SPECIALS[2:]},
              open(a.out + '/special_tokens_map.json', 'w'), indent=1)

    t = bpe.Tokenizer(a.out + '/tokenizer.json')
    rng = random.Random(2)
    for part in ('valid', 'train'):
        ds = docs('%s/%s.txt' % (a.data, part))
        if part == 'train':
            rng.shuffle(ds)
        else:                                      # round trip of every held-out document
            assert all(t.decode(t.encode(d)) == d for d in ds)
            odd = 'na\u00efve caf\u00e9 \u2014 \u4f60\u597d \U0001f600\n\n\ttab  two  spaces 1234 it\'s <|end|>x\r\n'
            assert t.decode(t.encode(odd)) == odd
        ids, nbytes = [], 0
        for i, d in enumerate(ds):
            nbytes += len(d.encode())
            if part == 'train' and i % 12 == 0:    # chat: cut the document up into openings and goings-on
                paras = d.split('\n')
                for k in range(0, len(paras), 8):
                    first, rest = paras[k], paras[k + 1:k + 8]
                    s = re.split(r'(?<=[.!?])\s+(?=[A-Z])', first, 1)
                    user = s[0]
                    body = '\n'.join(s[1:] + rest)
                    if 20 < len(user) < 300 and len(body) > 200:
                        ids += [t.bos, t.special['<|user|>']] + t.encode(user) + [t.special['<|end|>'],
                                t.special['<|assistant|>']] + t.encode(body) + [t.special['<|end|>'], t.eos]
            else:
                ids += [t.bos] + t.encode(d) + [t.eos]
        np.array(ids, dtype=np.uint16).tofile('%s/%s.bin' % (a.data, part))
        print(part, len(ids), 'tokens', nbytes, 'bytes', '%.3f bytes/token' % (nbytes / len(ids)))


main()
