#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The steps of gpu_check through PyTorch, and through transformers, on the same card.

  peer_torch.py [--ours JSON] [--table FILE] [--json FILE] [--seconds N] [--tiny]

Random bf16 weights of the same shapes, the same trees behind the same context, attention by
scaled_dot_product_attention. Two ways:

  torch         layers written out with joined matrices, keys and values in fixed tensors, query
                heads of a key as rows of one product; a step is one CUDA graph where it can be
  transformers  the library's own class, a growing cache that is cut after each step, no graph

Both end with the best token of every row; a prompt has no logits. Rows go to the table as those of
gpu_check do, each with what ours (JSON, its samples) is beside it. Exit status 77: there is no
torch, or it sees no GPU. --tiny: a tiny shape, on the processor too, to try the script itself.
"""
import argparse
import gc
import json
import statistics
import sys
import time
import warnings

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print('skipped: %s' % error)
    sys.exit(77)

CONTEXT, TREE, BRANCHES, PROMPT = 1024, 33, 8, 2048
STEPS, BEFORE = 40, 5
SHAPES = {
    'llama-1b': dict(vocab=32000, hidden=2048, layers=22, heads=32, kv_heads=4, dim=64, mlp=5632,
                     eps=1e-5, theta=1e4, qk_norm=False),
    'qwen3-14b': dict(vocab=151936, hidden=5120, layers=40, heads=40, kv_heads=8, dim=128,
                      mlp=17408, eps=1e-6, theta=1e6, qk_norm=True),
}
TINY = dict(vocab=64, hidden=32, layers=2, heads=4, kv_heads=2, dim=16, mlp=48, eps=1e-5, theta=1e4,
            qk_norm=True)
CASES = [(1, 1), (1, TREE), (8, TREE), (16, TREE)]
GOAL = {('qwen3-14b', '8x33'): 1.5}


def tree():
    """Parents and depths: a root with branches as long as each other."""
    parent = [-1] + [0 if i <= BRANCHES else i - BRANCHES for i in range(1, TREE)]
    depth = [0] * TREE
    for i in range(1, TREE):
        depth[i] = depth[parent[i]] + 1
    return parent, depth


def tree_mask(rows, length, device, dtype):
    """[rows, length]: 0 where a row sees, as little as there is where it does not."""
    parent, _ = tree()
    mask = torch.full((rows, length), torch.finfo(dtype).min, dtype=dtype)
    mask[:, :CONTEXT] = 0
    for i in range(rows):
        at = i
        while at >= 0:
            mask[i, CONTEXT + at] = 0
            at = parent[at]
    return mask.to(device)


def synchronize(device):
    if device == 'cuda':
        torch.cuda.synchronize()


class Clock:
    """Samples in milliseconds, until there are enough or the time is over."""

    def __init__(self, device, ends, steps=None):
        self.device, self.ends, self.steps = device, ends, steps or STEPS

    def time(self, call):
        for _ in range(BEFORE):
            call()
        samples = []
        for _ in range(self.steps):
            synchronize(self.device)
            begun = time.perf_counter()
            call()
            synchronize(self.device)
            samples.append((time.perf_counter() - begun) * 1e3)
            if len(samples) >= 5 and time.monotonic() > self.ends:
                break
        return samples


class Plain:
    """The layers, written out."""

    name = 'torch'

    def __init__(self, shape, device):
        self.s, self.device = shape, device
        s, like = shape, dict(device=device, dtype=torch.bfloat16)
        self.q, self.kv = s['heads'] * s['dim'], s['kv_heads'] * s['dim']

        def matrix(n_out, n_in):
            return torch.empty(n_out, n_in, **like).normal_(0, n_in ** -0.5)

        def ones(n):
            return torch.ones(n, **like)

        self.embed = matrix(s['vocab'], s['hidden'])
        self.head = matrix(s['vocab'], s['hidden'])
        self.norm = ones(s['hidden'])
        self.layers = [dict(norm_attn=ones(s['hidden']), norm_mlp=ones(s['hidden']),
                            norm_q=ones(s['dim']), norm_k=ones(s['dim']),
                            qkv=matrix(self.q + 2 * self.kv, s['hidden']),
                            o=matrix(s['hidden'], self.q),
                            gate_up=matrix(2 * s['mlp'], s['hidden']),
                            down=matrix(s['hidden'], s['mlp'])) for _ in range(s['layers'])]
        half = torch.arange(0, s['dim'], 2, device=device).float() / s['dim']
        angle = torch.outer(torch.arange(PROMPT + TREE, device=device).float(), s['theta'] ** -half)
        self.cos = torch.cat([angle.cos()] * 2, -1).to(torch.bfloat16)
        self.sin = torch.cat([angle.sin()] * 2, -1).to(torch.bfloat16)

    def rotate(self, x, cos, sin):
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat([-second, first], -1) * sin

    def layers_of(self, x, position, attend):
        """x: [batch, rows, hidden]; attend(number, q, k, v) gives [batch, rows, heads * dim]."""
        s = self.s
        batch, rows, _ = x.shape
        cos, sin = self.cos[position][:, None], self.sin[position][:, None]
        for number, w in enumerate(self.layers):
            h = F.rms_norm(x, (s['hidden'],), w['norm_attn'], s['eps'])
            q, k, v = F.linear(h, w['qkv']).split([self.q, self.kv, self.kv], -1)
            q, k, v = (t.view(batch, rows, -1, s['dim']) for t in (q, k, v))
            if s['qk_norm']:
                q = F.rms_norm(q, (s['dim'],), w['norm_q'], s['eps'])
                k = F.rms_norm(k, (s['dim'],), w['norm_k'], s['eps'])
            q = self.rotate(q, cos.transpose(1, 2), sin.transpose(1, 2))
            k = self.rotate(k, cos.transpose(1, 2), sin.transpose(1, 2))
            x = x + F.linear(attend(number, q, k, v), w['o'])
            h = F.rms_norm(x, (s['hidden'],), w['norm_mlp'], s['eps'])
            gate, up = F.linear(h, w['gate_up']).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, w['down'])
        return F.rms_norm(x, (s['hidden'],), self.norm, s['eps'])

    def step(self, batch, rows):
        """A function that does one step, and how: "CUDA graph" or "eager"."""
        s, device = self.s, self.device
        group = s['heads'] // s['kv_heads']
        used = CONTEXT + rows
        length = used if rows == 1 else (used + 7) // 8 * 8
        like = dict(device=device, dtype=torch.bfloat16)
        keys = [torch.randn(batch, s['kv_heads'], length, s['dim'], **like) for _ in self.layers]
        values = [torch.randn(batch, s['kv_heads'], length, s['dim'], **like) for _ in self.layers]
        ids = torch.randint(s['vocab'], (batch, rows), device=device)
        position = CONTEXT + torch.tensor(tree()[1][:rows], device=device).expand(batch, rows)
        mask = None
        if rows > 1: # rows of one key's heads, head by head
            mask = tree_mask(rows, length, device, torch.bfloat16).repeat(group, 1)
            mask = mask.expand(batch, s['kv_heads'], group * rows, length)

        def attend(number, q, k, v):
            keys[number][:, :, CONTEXT:used] = k.transpose(1, 2)
            values[number][:, :, CONTEXT:used] = v.transpose(1, 2)
            q = q.view(batch, rows, s['kv_heads'], group, s['dim']).permute(0, 2, 3, 1, 4)
            q = q.reshape(batch, s['kv_heads'], group * rows, s['dim'])
            out = F.scaled_dot_product_attention(q, keys[number], values[number], attn_mask=mask)
            out = out.view(batch, s['kv_heads'], group, rows, s['dim']).permute(0, 3, 1, 2, 4)
            return out.reshape(batch, rows, self.q)

        def once():
            x = self.layers_of(F.embedding(ids, self.embed), position, attend)
            return F.linear(x, self.head).argmax(-1)

        return captured(once, device)

    def prompt(self, rows):
        s, device = self.s, self.device
        group = s['heads'] // s['kv_heads']
        ids = torch.randint(s['vocab'], (1, rows), device=device)
        position = torch.arange(rows, device=device).expand(1, rows)

        def attend(_, q, k, v):
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            k, v = (t.repeat_interleave(group, 1) for t in (k, v))
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return out.transpose(1, 2).reshape(1, rows, self.q)

        return lambda: self.layers_of(F.embedding(ids, self.embed), position, attend), 'eager'


def captured(once, device):
    """The function as one CUDA graph; where that does not work, as it is."""
    if device != 'cuda':
        return once, 'eager'
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                once()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = once()
        return lambda: (graph.replay(), kept)[0], 'CUDA graph'
    except RuntimeError as error:
        print('no graph: %s' % str(error).split('\n')[0])
        torch.cuda.synchronize()
        return once, 'eager'


class Library:
    """transformers' own class."""

    name = 'transformers'

    def __init__(self, shape, device):
        import transformers
        self.t, self.s, self.device = transformers, shape, device
        s = shape
        options = dict(vocab_size=s['vocab'], hidden_size=s['hidden'],
                       num_hidden_layers=s['layers'], num_attention_heads=s['heads'],
                       num_key_value_heads=s['kv_heads'], head_dim=s['dim'],
                       intermediate_size=s['mlp'], max_position_embeddings=4096,
                       rms_norm_eps=s['eps'], tie_word_embeddings=False,
                       attn_implementation='sdpa')
        kind = 'Qwen3' if s['qk_norm'] else 'Llama'
        config = getattr(transformers, kind + 'Config')(**options)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device(device):
                self.model = getattr(transformers, kind + 'ForCausalLM')(config).eval()
        finally:
            torch.set_default_dtype(before)

    def step(self, batch, rows):
        s, device = self.s, self.device
        cache = self.t.DynamicCache()
        ids = torch.randint(s['vocab'], (batch, CONTEXT), device=device)
        self.model.model(input_ids=ids, past_key_values=cache, use_cache=True) # the text before
        ids = torch.randint(s['vocab'], (batch, rows), device=device)
        position = CONTEXT + torch.tensor(tree()[1][:rows], device=device).expand(batch, rows)
        mask = None
        if rows > 1:
            mask = tree_mask(rows, CONTEXT + rows, device, torch.bfloat16)
            mask = mask.expand(batch, 1, rows, CONTEXT + rows)

        def once():
            out = self.model(input_ids=ids, attention_mask=mask, position_ids=position,
                             past_key_values=cache, use_cache=True)
            best = out.logits.argmax(-1)
            cache.crop(-rows) # a length to keep is not taken by every version
            return best

        return once, 'eager'

    def prompt(self, rows):
        ids = torch.randint(self.s['vocab'], (1, rows), device=self.device)

        def once():
            return self.model.model(input_ids=ids, use_cache=True).last_hidden_state

        return once, 'eager'


class Report:
    def __init__(self, options):
        self.table = open(options.table, 'a') if options.table else None
        self.json = options.json
        self.samples = {}
        self.ours = {}
        if options.ours:
            with open(options.ours) as file:
                self.ours = json.load(file)

    def row(self, what, value, goal='', judgement=''):
        value = ' '.join(value.split())
        print('%-44s %-6s %s%s' % (what, judgement, value, ', goal ' + goal if goal else ''),
              flush=True)
        if self.table:
            self.table.write('\t'.join((what, value, goal, judgement)) + '\n')
            self.table.flush()

    def figure(self, peer, shape, key, words, samples, how):
        self.samples['%s_%s_%s_ms' % (peer, shape, key)] = samples
        median = statistics.median(samples)
        value = '%.3f ms (%.3f to %.3f, %d steps), %s' % (median, min(samples), max(samples),
                                                         len(samples), how)
        goal = judgement = ''
        ours = self.ours.get('%s_%s_ms' % (shape, key))
        if ours:
            ratio = median / ours['median']
            value += '; ours takes %.3f ms: %.2f x as fast' % (ours['median'], ratio)
            wanted = GOAL.get((shape, key))
            if wanted:
                goal, judgement = '%.1f x' % wanted, 'met' if ratio >= wanted else 'below'
        self.row('%s, %s, %s' % (peer, shape, words), value, goal, judgement)

    def close(self):
        if self.json:
            with open(self.json, 'w') as file:
                json.dump(self.samples, file, indent=1)


def measure(report, kind, name, shape, device, ends):
    """All cases of a shape in one way; what cannot be done is a row too."""
    what = '%s, %s' % (kind.name, name)
    try:
        peer = kind(shape, device)
        for batch, rows in CASES:
            if time.monotonic() > ends:
                report.row(what, 'the rest is not measured: there is no time left')
                return
            call, how = peer.step(batch, rows)
            words = '%d row%s' % (rows, '' if rows == 1 else 's')
            words = '%d x %s' % (batch, words) if batch > 1 else words
            report.figure(kind.name, name, '%dx%d' % (batch, rows), words,
                          Clock(device, ends).time(call), how)
            del call
            gc.collect()
        call, how = peer.prompt(PROMPT)
        report.figure(kind.name, name, 'prefill_%d' % PROMPT, 'a prompt of %d rows' % PROMPT,
                      Clock(device, ends, 12).time(call), how)
    except Exception as error: # whatever a version of these libraries does not like
        report.row(what, 'not measured: %s: %s' % (type(error).__name__, str(error)[:160]))


def main():
    global CONTEXT, PROMPT, STEPS
    parser = argparse.ArgumentParser()
    for option in ('--ours', '--table', '--json'):
        parser.add_argument(option)
    parser.add_argument('--seconds', type=float, default=150)
    parser.add_argument('--tiny', action='store_true')
    options = parser.parse_args()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if device == 'cpu' and not options.tiny:
        print('skipped: torch %s sees no GPU' % torch.__version__)
        return 77
    shapes = SHAPES
    if options.tiny:
        shapes = {'tiny': TINY}
        CONTEXT, PROMPT, STEPS = 40, 64, 6
    report = Report(options)
    kinds = [Plain]
    try:
        import transformers
        report.row('peers', 'torch %s, transformers %s' % (torch.__version__,
                                                           transformers.__version__))
        kinds.append(Library)
    except ImportError as error:
        report.row('peers', 'torch %s; no transformers: %s' % (torch.__version__, error))
    warnings.filterwarnings('ignore') # names that later versions will not have
    ends = time.monotonic() + options.seconds
    with torch.inference_mode():
        for name, shape in shapes.items():
            for kind in kinds:
                measure(report, kind, name, shape, device, ends)
                gc.collect()
                if device == 'cuda':
                    torch.cuda.empty_cache()
    report.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
