# SPDX-License-Identifier: Apache-2.0
"""LlamaForCausalLM as Hugging Face defines it (RMSNorm, rotate-half RoPE, SwiGLU, GQA, tied embeddings),
with Hugging Face's weight names, for training and for float32 reference runs on a CPU."""
import json, math, struct
import torch
import torch.nn as nn
import torch.nn.functional as F

SHAPES = {
    'target': dict(hidden_size=256, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=4,
                   intermediate_size=704),
    'draft': dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                  intermediate_size=352),
}


def config(name, vocab=2048):
    c = SHAPES[name]
    return dict(architectures=['LlamaForCausalLM'], model_type='llama', vocab_size=vocab, **c,
                head_dim=c['hidden_size'] // c['num_attention_heads'], hidden_act='silu',
                max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=10000.0, rope_scaling=None,
                tie_word_embeddings=True, attention_bias=False, mlp_bias=False, attention_dropout=0.0,
                initializer_range=0.02, pretraining_tp=1, use_cache=True, bos_token_id=2043,
                eos_token_id=2044, torch_dtype='bfloat16', transformers_version='4.44.0')


class RMSNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, cos, sin):
    h = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., h:], x[..., :h]), -1) * sin


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.h, self.kv, self.d = c['num_attention_heads'], c['num_key_value_heads'], c['head_dim']
        n = c['hidden_size']
        self.q_proj = nn.Linear(n, self.h * self.d, bias=False)
        self.k_proj = nn.Linear(n, self.kv * self.d, bias=False)
        self.v_proj = nn.Linear(n, self.kv * self.d, bias=False)
        self.o_proj = nn.Linear(self.h * self.d, n, bias=False)

    def forward(self, x, cos, sin, mask, cache=None):
        b, t, _ = x.shape
        g = self.h // self.kv
        q = rotate(self.q_proj(x).view(b, t, self.h, self.d).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x).view(b, t, self.kv, self.d).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(b, t, self.kv, self.d).transpose(1, 2)
        if cache is not None:                      # cache: dict that holds k and v of what came before
            if 'k' in cache:
                k, v = torch.cat((cache['k'], k), 2), torch.cat((cache['v'], v), 2)
            cache['k'], cache['v'] = k, v
        s = k.shape[2]
        # the g query heads of one kv head are stacked as rows, so that k and v need no repeating
        q = (q * self.d ** -0.5).reshape(b * self.kv, g * t, self.d)
        w = torch.bmm(q, k.reshape(b * self.kv, s, self.d).transpose(1, 2)).view(-1, g, t, s)
        if mask is not None:
            w = w + mask
        w = F.softmax(w, -1).view(b * self.kv, g * t, s)
        o = torch.bmm(w, v.reshape(b * self.kv, s, self.d))
        return self.o_proj(o.view(b, self.h, t, self.d).transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        n, m = c['hidden_size'], c['intermediate_size']
        self.gate_proj = nn.Linear(n, m, bias=False)
        self.up_proj = nn.Linear(n, m, bias=False)
        self.down_proj = nn.Linear(m, n, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn, self.mlp = Attention(c), MLP(c)
        self.input_layernorm = RMSNorm(c['hidden_size'], c['rms_norm_eps'])
        self.post_attention_layernorm = RMSNorm(c['hidden_size'], c['rms_norm_eps'])

    def forward(self, x, *a):
        x = x + self.self_attn(self.input_layernorm(x), *a)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c['vocab_size'], c['hidden_size'])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c['num_hidden_layers']))
        self.norm = RMSNorm(c['hidden_size'], c['rms_norm_eps'])


class Llama(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.model = c, Body(c)
        for n, p in self.named_parameters():
            if p.dim() == 2:
                std = 0.02 / math.sqrt(2 * c['num_hidden_layers']) if 'o_proj' in n or 'down_proj' in n else 0.02
                nn.init.normal_(p, 0, std if c['hidden_size'] >= 256 or 'embed' in n else std * 2)
        d = c['head_dim']
        inv = c['rope_theta'] ** (-torch.arange(0, d, 2).float() / d)
        f = torch.outer(torch.arange(c['max_position_embeddings']).float(), inv)
        f = torch.cat((f, f), -1)
        self.cos, self.sin = f.cos(), f.sin()

    def forward(self, ids, cache=None):
        """ids [b, t] -> logits [b, t, vocab]; cache: a list that this call fills and extends."""
        t, past = ids.shape[1], 0
        if cache is not None:
            if not cache:
                cache.extend({} for _ in self.model.layers)
            past = cache[0]['k'].shape[2] if 'k' in cache[0] else 0
        cos, sin = self.cos[past:past + t], self.sin[past:past + t]
        mask = torch.full((t, past + t), -1e9).triu(1 + past) if t > 1 else None
        if torch.is_autocast_cpu_enabled():        # bf16 elementwise work in training
            cos, sin = cos.bfloat16(), sin.bfloat16()
            mask = None if mask is None else mask.bfloat16()
        x = self.model.embed_tokens(ids)
        for i, layer in enumerate(self.model.layers):
            x = layer(x, cos, sin, mask, None if cache is None else cache[i])
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)


def trim(cache, n):
    """Forget all but the first n positions."""
    for c in cache:
        c['k'], c['v'] = c['k'][:, :, :n], c['v'][:, :, :n]


def save_safetensors(path, tensors):
    """BF16 safetensors file, by hand."""
    head, blobs, at = {'__metadata__': {'format': 'pt'}}, [], 0
    for n in sorted(tensors):
        raw = tensors[n].detach().to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        head[n] = {'dtype': 'BF16', 'shape': list(tensors[n].shape), 'data_offsets': [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    h = json.dumps(head, separators=(',', ':')).encode()
    h += b' ' * (-len(h) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(h)) + h + b''.join(blobs))


def load_safetensors(path):
    raw = open(path, 'rb').read()
    n = struct.unpack('<Q', raw[:8])[0]
    head, out = json.loads(raw[8:8 + n]), {}
    for k, v in head.items():
        if k != '__metadata__':
            a, b = v['data_offsets']
            t = torch.frombuffer(bytearray(raw[8 + n + a:8 + n + b]), dtype=torch.int16)
            out[k] = t.view(torch.bfloat16).float().view(v['shape'])
    return out


def load_model(folder):
    """Model in float32 from the bf16-rounded weights of a Hugging Face folder."""
    m = Llama(json.load(open(folder + '/config.json')))
    m.load_state_dict(load_safetensors(folder + '/model.safetensors'))
    return m.eval()
