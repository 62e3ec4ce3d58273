#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a GGUF file of random weights in the shape of a Hugging Face config.json.

The comparison with llama.cpp needs equal shapes and precisions, not equal numbers: the time
of a step does not depend on what the weights are (normal, deviation 0.02: no denormals, no
infinities). The tokenizer is a dummy, since nothing is tokenised. Only LlamaForCausalLM.

    peer_gguf.py CONFIG.json OUT.gguf f16|bf16|q8_0 [--seed N]
"""
import argparse
import json
import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType, quants

KINDS = {
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}


def matrices(c):
    """(name, shape) of every tensor in file order; a shape of one dimension is a norm."""
    hidden, mlp, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    heads = c["num_attention_heads"]
    kv_heads = c.get("num_key_value_heads") or heads
    head = c.get("head_dim") or hidden // heads
    yield "token_embd.weight", (vocab, hidden)
    for i in range(c["num_hidden_layers"]):
        b = f"blk.{i}."
        yield b + "attn_norm.weight", (hidden,)
        yield b + "attn_q.weight", (heads * head, hidden)
        yield b + "attn_k.weight", (kv_heads * head, hidden)
        yield b + "attn_v.weight", (kv_heads * head, hidden)
        yield b + "attn_output.weight", (hidden, heads * head)
        yield b + "ffn_norm.weight", (hidden,)
        yield b + "ffn_gate.weight", (mlp, hidden)
        yield b + "ffn_up.weight", (mlp, hidden)
        yield b + "ffn_down.weight", (hidden, mlp)
    yield "output_norm.weight", (hidden,)
    if not c.get("tie_word_embeddings", False):
        yield "output.weight", (vocab, hidden)


def describe(w, c, file_type):
    heads = c["num_attention_heads"]
    head = c.get("head_dim") or c["hidden_size"] // heads
    theta = c.get("rope_theta") or (c.get("rope_parameters") or {}).get("rope_theta", 10000.0)
    w.add_name("random weights")
    w.add_file_type(file_type)
    w.add_context_length(c.get("max_position_embeddings", 2048))
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(c.get("num_key_value_heads") or heads)
    w.add_key_length(head)
    w.add_value_length(head)
    w.add_rope_dimension_count(head)
    w.add_rope_freq_base(theta)
    w.add_layer_norm_rms_eps(c.get("rms_norm_eps", 1e-5))
    w.add_vocab_size(c["vocab_size"])


def dummy_tokenizer(w, vocab):
    tokens = [b"<unk>", b"<s>", b"</s>"]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    for byte in range(256):
        tokens.append(b"<0x%02X>" % byte)
        kinds.append(TokenType.BYTE)
    for i in range(len(tokens), vocab):
        tokens.append(b"t%d" % i)
        kinds.append(TokenType.NORMAL)
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens[:vocab])
    w.add_token_scores([0.0] * vocab)
    w.add_token_types(kinds[:vocab])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("config")
    p.add_argument("out")
    p.add_argument("kind", choices=sorted(KINDS))
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    with open(a.config, encoding="utf-8") as f:
        c = json.load(f)
    arch = (c.get("architectures") or ["none"])[0]
    if arch != "LlamaForCausalLM":
        sys.exit(f"{a.config}: {arch} is not LlamaForCausalLM")

    kind, file_type = KINDS[a.kind]
    w = GGUFWriter(a.out, "llama")
    describe(w, c, file_type)
    dummy_tokenizer(w, c["vocab_size"])
    for name, shape in matrices(c):
        if len(shape) == 1:
            w.add_tensor_info(name, shape, np.dtype(np.float32), 4 * shape[0])
            continue
        bytes_shape = shape
        if kind is not GGMLQuantizationType.F16:
            bytes_shape = quants.quant_shape_to_byte_shape(shape, kind)
        size = int(np.prod(bytes_shape)) * (2 if kind is GGMLQuantizationType.F16 else 1)
        dtype = np.float16 if kind is GGMLQuantizationType.F16 else np.uint8
        w.add_tensor_info(name, bytes_shape, np.dtype(dtype), size, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    rng = np.random.default_rng(a.seed)
    for name, shape in matrices(c):
        if len(shape) == 1:
            w.write_tensor_data(np.ones(shape, np.float32))
            continue
        x = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
        w.write_tensor_data(quants.quantize(x, kind))
    w.close()


main()
