#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Independent check: the golden logits and ids against a plain numpy forward written from the definition.
  6_check.py PAIR_FOLDER   (the folder that holds tales-target, tales-draft and golden.json)"""
import json, struct, sys
import numpy as np

def load(p):
    raw = open(p, 'rb').read(); n = struct.unpack('<Q', raw[:8])[0]; w = {}
    for k, v in json.loads(raw[8:8 + n]).items():
        if k != '__metadata__':
            a, b = v['data_offsets']
            u = np.frombuffer(raw[8 + n + a:8 + n + b], dtype=np.uint16).astype(np.uint32) << 16
            w[k] = u.view(np.float32).reshape(v['shape']).astype(np.float64)
    return w

def norm(x, w): return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w

def forward(w, c, ids):
    x = w['model.embed_tokens.weight'][ids]; T = len(ids); d = c['head_dim']; H = c['num_attention_heads']; g = H // c['num_key_value_heads']
    ang = np.outer(np.arange(T), 10000.0 ** (-np.arange(0, d, 2) / d)); ang = np.concatenate([ang, ang], 1)
    def rope(v): return v * np.cos(ang) + np.concatenate([-v[:, d // 2:], v[:, :d // 2]], 1) * np.sin(ang)
    for l in range(c['num_hidden_layers']):
        p = 'model.layers.%d.' % l
        y = norm(x, w[p + 'input_layernorm.weight'])
        q, k, v = (y @ w[p + 'self_attn.%s_proj.weight' % n].T for n in 'qkv'); o = []
        for h in range(H):
            j = h // g; s = rope(q[:, h * d:(h + 1) * d]) @ rope(k[:, j * d:(j + 1) * d]).T / np.sqrt(d)
            s[np.triu_indices(T, 1)] = -np.inf; e = np.exp(s - s.max(1, keepdims=True)); o.append(e / e.sum(1, keepdims=True) @ v[:, j * d:(j + 1) * d])
        x = x + np.concatenate(o, 1) @ w[p + 'self_attn.o_proj.weight'].T
        y = norm(x, w[p + 'post_attention_layernorm.weight']); a = y @ w[p + 'mlp.gate_proj.weight'].T
        x = x + (a / (1 + np.exp(-a)) * (y @ w[p + 'mlp.up_proj.weight'].T)) @ w[p + 'mlp.down_proj.weight'].T
    return norm(x, w['model.norm.weight']) @ w['model.embed_tokens.weight'].T

base = sys.argv[1]; G = json.load(open(base + '/golden.json'))
for m in ('target', 'draft'):
    f = '%s/tales-%s/' % (base, m); w, c = load(f + 'model.safetensors'), json.load(open(f + 'config.json')); worst = bad = n = 0
    for e in G['prompts']:
        lo = forward(w, c, e['ids'] + e[m]['greedy'][:-1])[len(e['ids']) - 1:]
        if 'logits' in e[m]: worst = max(worst, np.abs(lo[0] - np.array(e[m]['logits'])).max())
        bad += int((lo.argmax(1) != e[m]['greedy']).sum()); n += len(lo)
    print(m, 'largest logit difference %.2e' % worst, 'greedy ids that differ', bad, 'of', n)
