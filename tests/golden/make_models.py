#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tiny random models of every architecture, and the logits that transformers computes.

  make_models.py [OUT]        OUT defaults to models/ beside this file

Each model becomes a folder with config.json, its safetensors and golden.json; README.md
says what is in them. Weights come from a fixed stream (numpy's RandomState, which never
changes), so that the same bytes are written everywhere; only the last digits of the logits
depend on the machine and on the version of torch.

Needs torch, transformers, numpy and safetensors.
"""
import json
import math
import pathlib
import struct
import sys

import numpy as np
import torch
import transformers

N_IDS = 48
POSITIONS = [0, 1, 7, 15, 16, 33, 47]
BOS, EOS = 1, 2

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
YARN_WIDE = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32,
             "beta_fast": 4.0, "beta_slow": 0.5}
LINEAR = {"rope_type": "linear", "factor": 3.0}

# name: class, dtype, shape. shape: hidden, heads, kv heads, head_dim, mlp, vocab.
# "old": rope_theta and rope_scaling, as files were written until 2025; "new": rope_parameters.
MODELS = {
    "llama-1to1": dict(arch="llama", dtype="f32", shape=(32, 4, 4, 8, 56, 96)),
    "llama-2to1-linear-tied": dict(arch="llama", dtype="bf16", shape=(40, 4, 2, 10, 64, 101),
                                   rope=LINEAR, tied=True),
    "llama-8to1-llama3": dict(arch="llama", dtype="f16", shape=(64, 8, 1, 8, 72, 128),
                              rope=LLAMA3, theta=500.0),
    "llama-yarn": dict(arch="llama", dtype="f32", shape=(32, 2, 1, 16, 48, 96),
                       rope=YARN, form="new"),
    "llama-biases-sharded": dict(arch="llama", dtype="f32", shape=(32, 4, 2, 8, 48, 112),
                                 shards=3, more={"attention_bias": True, "mlp_bias": True}),
    "llama-head-dim": dict(arch="llama", dtype="bf16", shape=(48, 3, 1, 24, 64, 96),
                           rope=LLAMA3, theta=100.0, form="new", norms="f32"),
    "mistral-2to1": dict(arch="mistral", dtype="bf16", shape=(32, 4, 2, 8, 56, 96), theta=1e6),
    "mistral-8to1-yarn-tied": dict(arch="mistral", dtype="f16", shape=(64, 8, 1, 8, 64, 96),
                                   rope=YARN_WIDE, theta=100.0, tied=True, form="new"),
    "mistral-1to1-linear": dict(arch="mistral", dtype="f32", shape=(32, 2, 2, 16, 48, 96),
                                rope=LINEAR, form="new", shards=2),
    "mistral-llama3": dict(arch="mistral", dtype="bf16", shape=(32, 4, 1, 16, 48, 96),
                           rope=LLAMA3, theta=500.0),
    "qwen2-2to1-tied": dict(arch="qwen2", dtype="bf16", shape=(32, 4, 2, 8, 56, 96), theta=1e6,
                            tied=True),
    "qwen2-8to1-yarn": dict(arch="qwen2", dtype="f32", shape=(64, 8, 1, 8, 40, 96),
                            rope=dict(YARN_WIDE, truncate=False), theta=100.0),
    "qwen2-1to1-llama3": dict(arch="qwen2", dtype="f16", shape=(32, 2, 2, 16, 48, 96),
                              rope=LLAMA3, theta=500.0, form="new"),
    "qwen2-linear": dict(arch="qwen2", dtype="f32", shape=(32, 4, 2, 8, 48, 96), rope=LINEAR),
    "qwen3-2to1-tied": dict(arch="qwen3", dtype="bf16", shape=(32, 4, 2, 16, 56, 96), theta=1e6,
                            tied=True),
    "qwen3-8to1-yarn": dict(arch="qwen3", dtype="f32", shape=(32, 8, 1, 12, 48, 96),
                            rope=dict(YARN_WIDE, attention_factor=1.3), theta=100.0),
    "qwen3-1to1-llama3": dict(arch="qwen3", dtype="f16", shape=(40, 2, 2, 32, 48, 96),
                              rope=LLAMA3, theta=500.0, form="new"),
    "qwen3-linear-sharded": dict(arch="qwen3", dtype="bf16", shape=(32, 4, 1, 16, 48, 96),
                                 rope=LINEAR, theta=1000.0, shards=3),
    "qwen3-yarn-mscale": dict(arch="qwen3", dtype="bf16", shape=(32, 4, 2, 16, 48, 96),
                              rope=dict(YARN_WIDE, mscale=1.5, mscale_all_dim=0.5), theta=100.0,
                              form="new"),
}
CLASSES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM",
           "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
STORED = {"f32": ("F32", torch.float32), "f16": ("F16", torch.float16),
          "bf16": ("BF16", torch.bfloat16)}


def config_of(spec):
    hidden, heads, kv_heads, head_dim, mlp, vocab = spec["shape"]
    config = {
        "architectures": [CLASSES[spec["arch"]]],
        "model_type": spec["arch"],
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-6 if spec["arch"].startswith("qwen") else 1e-5,
        "tie_word_embeddings": spec.get("tied", False),
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "torch_dtype": {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[spec["dtype"]],
        **spec.get("more", {}),
    }
    if head_dim * heads != hidden or spec["arch"] == "qwen3":
        config["head_dim"] = head_dim
    if spec["arch"] in ("mistral", "qwen2", "qwen3"):
        config["sliding_window"] = None
    if spec["arch"] in ("qwen2", "qwen3"):
        config["use_sliding_window"] = False
    theta = spec.get("theta", 10000.0)
    if spec.get("form", "old") == "new":
        config["rope_parameters"] = {"rope_type": "default", "rope_theta": theta,
                                     **spec.get("rope", {})}
    else:
        config["rope_theta"] = theta
        config["rope_scaling"] = spec.get("rope")
    return config


def tensors_of(spec, stream):
    """-> list of (name, float64 array), in the order of the file."""
    hidden, heads, kv_heads, head_dim, mlp, vocab = spec["shape"]
    more = spec.get("more", {})
    qkv_bias = spec["arch"] == "qwen2" or more.get("attention_bias", False)

    def matrix(n_out, n_in, gain):
        return gain / math.sqrt(n_in) * stream.standard_normal((n_out, n_in))

    def norm(n):
        return stream.uniform(0.5, 1.5, n) * np.where(stream.uniform(size=n) < 0.05, -1, 1)

    def bias(n):
        return 0.3 * stream.standard_normal(n)

    out = [("model.embed_tokens.weight", stream.standard_normal((vocab, hidden)))]
    for layer in range(2):
        at = f"model.layers.{layer}."
        out.append((at + "input_layernorm.weight", norm(hidden)))
        for name, n_out, n_in, gain, biased in (
                ("self_attn.q_proj", heads * head_dim, hidden, 1.3, qkv_bias),
                ("self_attn.k_proj", kv_heads * head_dim, hidden, 1.3, qkv_bias),
                ("self_attn.v_proj", kv_heads * head_dim, hidden, 1.3, qkv_bias),
                ("self_attn.o_proj", hidden, heads * head_dim, 1.3,
                 more.get("attention_bias", False)),
                ("mlp.gate_proj", mlp, hidden, 1.3, more.get("mlp_bias", False)),
                ("mlp.up_proj", mlp, hidden, 1.3, more.get("mlp_bias", False)),
                ("mlp.down_proj", hidden, mlp, 1.5, more.get("mlp_bias", False))):
            out.append((at + name + ".weight", matrix(n_out, n_in, gain)))
            if biased:
                out.append((at + name + ".bias", bias(n_out)))
        if spec["arch"] == "qwen3":
            out.append((at + "self_attn.q_norm.weight", norm(head_dim)))
            out.append((at + "self_attn.k_norm.weight", norm(head_dim)))
        out.append((at + "post_attention_layernorm.weight", norm(hidden)))
    out.append(("model.norm.weight", norm(hidden)))
    if not spec.get("tied", False):
        out.append(("lm_head.weight", matrix(vocab, hidden, 2.0)))
    return out


def write_safetensors(path, tensors):
    """tensors: list of (name, stored name of the type, shape, bytes)."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, kind, shape, data in tensors:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t[3] for t in tensors))


def write_weights(folder, spec, tensors):
    stored = []
    for name, value in tensors:
        kind = spec.get("norms", spec["dtype"]) if "norm" in name else spec["dtype"]
        label, dtype = STORED[kind]
        data = torch.from_numpy(value.astype(np.float32)).to(dtype).contiguous()
        stored.append((name, label, list(value.shape), data.view(torch.uint8).numpy().tobytes()))
    shards = spec.get("shards", 1)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", stored)
        return
    index = {"metadata": {"total_size": sum(len(t[3]) for t in stored)}, "weight_map": {}}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = stored[i::shards]  # not in order: a loader must go by the index
        write_safetensors(folder / file, part)
        index["weight_map"].update({t[0]: file for t in part})
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


@torch.inference_mode()
def logits_of(folder, ids, dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager").eval()
    assert type(model).__name__ in CLASSES.values()
    return model(torch.tensor([ids])).logits[0].to(dtype)


def make(out, name, spec, seed):
    stream = np.random.RandomState(seed)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / "config.json").write_text(json.dumps(config_of(spec), indent=1) + "\n")
    write_weights(folder, spec, tensors_of(spec, stream))
    ids = [BOS] + stream.randint(3, spec["shape"][5], N_IDS - 1).tolist()

    logits = logits_of(folder, ids, torch.float32)
    exact = logits_of(folder, ids, torch.float64)
    scale = exact.abs().max(dim=1).values
    error = ((logits - exact).abs().max(dim=1).values / scale).max().item()
    assert error < 2e-5, f"{name}: float32 is {error} away from float64: choose tamer weights"
    assert 1 < logits.std().item() < 20, f"{name}: dull or wild logits"
    rows = [[float(f"{x:.9g}") for x in logits[p].tolist()] for p in POSITIONS]
    golden = {"ids": ids, "positions": POSITIONS, "vocab": spec["shape"][5],
              "float32_error": float(f"{error:.2g}"),
              "argmax": logits.argmax(dim=1).tolist()}
    text = json.dumps(golden)[:-1] + ',\n "logits": [\n  '
    text += ",\n  ".join(json.dumps(r) for r in rows) + "]}\n"
    (folder / "golden.json").write_text(text)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name:26} {size:8} bytes  deviation {logits.std().item():5.2f}  "
          f"float32 error {error:.1e}")


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                       pathlib.Path(__file__).resolve().parent / "models")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for i, (name, spec) in enumerate(MODELS.items()):
        make(out, name, spec, 1000 + i)
    (out / "LIST").write_text("".join(f"{name}\n" for name in MODELS))


main()
