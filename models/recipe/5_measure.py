#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How well does the draft foresee the target?  Acceptance of speculative chains, and golden outputs.

  5_measure.py --target DIR --draft DIR --data DIR [--out acceptance.json] [--golden golden.json]

What the target emits does not depend on the draft: greedily it is the argmax; at temperature 0.7 the token
sampled (seeded) from the target at each node, a draft token being accepted when it equals it. So one run of
the target gives the text, and one teacher-forced run of the draft over that text tells, position by
position, whether the draft's argmax would have been accepted; chains follow exactly from that.
All in float32 from the bf16-rounded weights.
"""
import argparse, json, math
import numpy as np
import torch
import torch.nn.functional as F
import bpe
from model import load_model


def generate(m, ids, n, temp=0.0, seed=0, stop=()):
    """-> new token ids, and for each the gap between the two highest logits."""
    g = torch.Generator().manual_seed(seed)
    cache, x, out, gap = [], torch.tensor([ids]), [], []
    for _ in range(n):
        lo = m(x, cache)[0, -1]
        top = lo.topk(2)[0]
        t = int(lo.argmax()) if temp == 0 else int(torch.multinomial(torch.softmax(lo / temp, -1), 1, generator=g))
        out.append(t)
        gap.append(float(top[0] - top[1]))
        if t in stop:
            break
        x = torch.tensor([[t]])
    return out, gap


def agreement(d, ids, out):
    """For each token of `out`: is it the draft's argmax after `ids` and the tokens before it?"""
    lo = d(torch.tensor([ids + out[:-1]]))[0, len(ids) - 1:]
    return [int(a) == b for a, b in zip(lo.argmax(-1), out)]


def chains(hits, k):
    """-> tokens made, verify passes, draft tokens proposed, draft tokens accepted, at chain length k."""
    i = passes = proposed = accepted = 0
    while i < len(hits):
        n = 0
        while n < k and i + n < len(hits) and hits[i + n]:
            n += 1
        proposed += min(k, len(hits) - i)
        accepted += n
        passes += 1
        i += n + 1
    return len(hits), passes, proposed, accepted


def perplexity(m, ids, n=512):
    total = count = 0
    for i in range(0, len(ids) - 1, n):
        b = torch.tensor(ids[i:i + n + 1])
        total += F.cross_entropy(m(b[None, :-1])[0], b[1:], reduction='sum').item()
        count += len(b) - 1
    return math.exp(total / count)


def main():
    a = argparse.ArgumentParser()
    a.add_argument('--target', required=True)
    a.add_argument('--draft', required=True)
    a.add_argument('--data', required=True)
    a.add_argument('--out')
    a.add_argument('--golden')
    a = a.parse_args()
    torch.set_grad_enabled(False)
    t, d = load_model(a.target), load_model(a.draft)
    tok = bpe.Tokenizer(a.target + '/tokenizer.json')
    prompts = [json.loads(l)['prompt'] for l in open(a.data + '/prompts.jsonl')]
    ids = [[tok.bos] + tok.encode(p) for p in prompts]
    stop = (tok.eos, tok.special['<|end|>'])
    res = {}
    for name, temp in (('greedy', 0.0), ('temperature 0.7', 0.7)):
        outs = [generate(t, x, 128, temp, 1000 + i, stop)[0] for i, x in enumerate(ids)]
        hits = [agreement(d, x, o) for x, o in zip(ids, outs)]
        r = {'prompts': len(ids), 'tokens': sum(map(len, outs)),
             'agreement': sum(map(sum, hits)) / sum(map(len, hits)),
             'agreement_by_prompt': [round(sum(h) / len(h), 3) for h in hits]}
        for k in (1, 2, 3, 4, 5, 6, 8):
            s = [sum(x) for x in zip(*(chains(h, k) for h in hits))]
            r['chain_%d' % k] = {'tokens_per_verify': round(s[0] / s[1], 3),
                                 'accepted_of_proposed': round(s[3] / s[2], 3)}
        res[name] = r
        print(name, json.dumps({k: v for k, v in r.items() if k != 'agreement_by_prompt'}))
    if a.out:
        json.dump(res, open(a.out, 'w'), indent=1)
    if a.golden:
        valid = np.fromfile(a.data + '/valid.bin', dtype=np.uint16).astype(np.int64)
        g = {'note': 'float32 from bf16-rounded weights; ids start with <|bos|>; greedy: 64 new ids, not stopped '
                     'at <|eos|>; gap: highest less second-highest logit at each greedy step; perplexity over '
                     'valid.bin in windows of 512 predicted ids',
             'perplexity': {'target': perplexity(t, valid), 'draft': perplexity(d, valid)}, 'prompts': []}
        print('perplexity', g['perplexity'])
        for i, (p, x) in enumerate(zip(prompts[:8], ids)):
            e = {'prompt': p, 'ids': x}
            for name, m in (('target', t), ('draft', d)):
                o, gap = generate(m, x, 64)
                e[name] = {'greedy': o, 'gap': [round(v, 4) for v in gap], 'text': tok.decode(o)}
                if i < 3:
                    e[name]['logits'] = [float(np.float32(v)) for v in m(torch.tensor([x]))[0, -1]]
            g['prompts'].append(e)
        json.dump(g, open(a.golden, 'w'))
        for e in g['prompts'][:3]:
            print('>', e['prompt'], '|', e['target']['text'])


if __name__ == '__main__':
    main()
