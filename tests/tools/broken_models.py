#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Model folders that are wrong in one way each.

  broken_models.py GOOD OUT        GOOD: a folder of two shards or more, in BF16

Prints a line per folder: its name, the weights to ask for, and a pattern (grep -E) that the
one line of the error must match.
"""
import json
import pathlib
import shutil
import struct
import sys

good, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
FIRST = "model-00001-of-"
SIZE_MAX = 2 ** 64 - 1


def case(name, pattern, weights="stored"):
    """A copy of the good folder to spoil, announced."""
    folder = out / name
    shutil.copytree(good, folder)
    print(f"{name}\t{weights}\t{pattern}")
    return folder


def shard(folder):
    return next(folder.glob(FIRST + "*"))


def read_shard(path):
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def write_shard(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def lie(name, pattern, change):
    """A header that says something else: change(header, names of its tensors)."""
    path = shard(case(name, pattern))
    header, data = read_shard(path)
    names = [n for n in header if n != "__metadata__"]
    header = change(header, names) or header
    write_shard(path, header, data)


def set_offsets(begin, end):
    def change(header, names):
        entry = header[names[0]]
        old = entry["data_offsets"]
        entry["data_offsets"] = [begin(*old), end(*old)]
    return change


def overlap(header, names):
    a, b = header[names[0]], header[names[1]]
    size = b["data_offsets"][1] - b["data_offsets"][0]
    b["data_offsets"] = [a["data_offsets"][0], a["data_offsets"][0] + size]


def set_key(key, value):
    def change(header, names):
        header[names[0]][key] = value
    return change


def drop_first(header, names):
    del header[names[0]]


def resize(name, pattern, new_bytes):
    path = shard(case(name, pattern))
    path.write_bytes(new_bytes(path.read_bytes()))


def edit_json(name, pattern, file, change):
    path = case(name, pattern) / file
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def set_item(key, value):
    def change(what):
        what[key] = value
    return change


def truncate_json(name, file):
    path = case(name, file) / file
    text = path.read_text()
    path.write_text(text[:len(text) // 2])


def spoil_weights(name, pattern, bits, weights):
    """NaN or infinity in the middle of a matrix that every token meets."""
    folder = case(name, pattern, weights)
    wanted = "model.layers.1.mlp.gate_proj.weight"
    for path in folder.glob("*.safetensors"):
        header, data = read_shard(path)
        if wanted in header:
            at = sum(header[wanted]["data_offsets"]) // 4 * 2
            write_shard(path, header, data[:at] + struct.pack("<H", bits) + data[at + 2:])


def main():
    resize("empty-shard", FIRST, lambda data: b"")
    resize("seven-bytes", FIRST, lambda data: data[:7])
    resize("header-cut", FIRST, lambda data: data[:100])
    resize("data-cut", FIRST, lambda data: data[:-1])
    resize("more-data", FIRST, lambda data: data + b"\0" * 64)
    resize("header-huge", FIRST, lambda data: struct.pack("<Q", SIZE_MAX) + data[8:])
    resize("header-past-end", FIRST, lambda data: struct.pack("<Q", len(data)) + data[8:])
    resize("header-empty", FIRST, lambda data: struct.pack("<Q", 0) + data[8:])
    resize("header-no-json", FIRST, lambda data: data[:8] + b"\xff" + data[9:])
    lie("offsets-past-end", FIRST, set_offsets(lambda a, b: a, lambda a, b: b + (1 << 40)))
    lie("offsets-backwards", FIRST, set_offsets(lambda a, b: b, lambda a, b: a))
    lie("offsets-negative", FIRST, set_offsets(lambda a, b: -2, lambda a, b: b - a - 2))
    lie("offsets-too-short", FIRST, set_offsets(lambda a, b: a, lambda a, b: b - 2))
    lie("offsets-misaligned", FIRST, set_offsets(lambda a, b: a + 1, lambda a, b: b + 1))
    lie("overlap", FIRST, overlap)
    lie("shape-too-large", FIRST, set_key("shape", [1 << 33, 1 << 33]))
    lie("shape-negative", FIRST, set_key("shape", [-1, 64]))
    lie("shape-swapped", FIRST, lambda h, n: h[n[0]]["shape"].reverse())
    lie("shape-text", FIRST, set_key("shape", "512x64"))
    lie("dtype-unknown", FIRST + ".*|F4_E9", set_key("dtype", "F4_E9"))
    lie("dtype-wider", FIRST, set_key("dtype", "F32"))
    lie("tensor-missing", FIRST + ".*belong to no tensor", drop_first)
    lie("header-a-list", FIRST, lambda h, n: b"[1, 2, 3]")
    shard(case("shard-missing", FIRST)).unlink()
    (case("index-missing", "safetensors") / "model.safetensors.index.json").unlink()
    edit_json("index-short", "lm_head", "model.safetensors.index.json",
              lambda v: v["weight_map"].pop("lm_head.weight"))
    edit_json("index-lies", "nowhere", "model.safetensors.index.json",
              lambda v: v["weight_map"].update({k: "nowhere.safetensors"
                                                for k in list(v["weight_map"])[:1]}))
    edit_json("index-leaves", "index|escape|\\.\\.", "model.safetensors.index.json",
              lambda v: v["weight_map"].update({k: "../../etc/passwd"
                                                for k in list(v["weight_map"])[:1]}))
    truncate_json("index-cut", "model.safetensors.index.json")
    truncate_json("config-cut", "config.json")
    (case("config-missing", "config.json") / "config.json").unlink()
    edit_json("architecture", "PhiForCausalLM", "config.json",
              set_item("architectures", ["PhiForCausalLM"]))
    edit_json("rope-unknown", "longrope", "config.json",
              set_item("rope_scaling", {"rope_type": "longrope", "factor": 2.0}))
    edit_json("activation", "gelu", "config.json", set_item("hidden_act", "gelu"))
    edit_json("hidden-odd", "config.json|embed_tokens", "config.json", set_item("hidden_size", 63))
    edit_json("hidden-zero", "hidden_size", "config.json", set_item("hidden_size", 0))
    edit_json("layers-many", "num_hidden_layers|layers\\.2", "config.json",
              set_item("num_hidden_layers", 3))
    edit_json("heads-text", "num_attention_heads", "config.json",
              set_item("num_attention_heads", "four"))
    edit_json("vocab-larger", "embed_tokens", "config.json", set_item("vocab_size", 513))
    spoil_weights("nan-stored", "NaN|nan|finite|inf", 0x7FC0, "stored")
    spoil_weights("nan-q8", "NaN|nan|finite|inf", 0x7FC0, "q8")
    spoil_weights("inf-f32", "NaN|nan|finite|inf", 0x7F80, "f32")


main()
