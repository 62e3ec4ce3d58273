#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Times `se-model bench` and llama.cpp in turn, on equal shapes, and prints the table.
#
#   tests/bench/peer_llama.sh LLAMA_DIR MODELS_DIR [OUT_DIR]
#
# LLAMA_DIR: llama.cpp's source, built in LLAMA_DIR/build (or in $LLAMA_BUILD).
# MODELS_DIR: where the random models go (6 GB for the 1B shape; kept for the next time).
# OUT_DIR: every answer of both programs, one file a run; default MODELS_DIR/results.
#
# What is run, each with its default:
#   SE_MODEL=build/tools/se-model  SHAPES="llama-150m llama-1b"  WEIGHTS="q8 bf16"
#   CONTEXTS="128 512"  THREADS="1 2"  ROWS=1,8,33,33t,128  TURNS=5  REPEAT=3  WARM_UP=2
#
#   SE_OPTIONS="" (more options for se-model bench, such as --preload)
#
# The two programs take turns (A B, then B A, ...): a machine that is slower for a minute is
# slower for both. See README.md beside this file.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ $# -lt 2 ]; then
    sed -n '3,15s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
llama_dir=$1
models=$2
out=${3:-$models/results}
build=${LLAMA_BUILD:-$llama_dir/build}
se_model=${SE_MODEL:-$root/build/tools/se-model}
shapes=${SHAPES:-llama-150m llama-1b}
weights=${WEIGHTS:-q8 bf16}
contexts=${CONTEXTS:-128 512}
threads=${THREADS:-1 2}
rows=${ROWS:-1,8,33,33t,128}
turns=${TURNS:-5}
options=${SE_OPTIONS:-}
repeat=${REPEAT:-3}
warm_up=${WARM_UP:-2}

say() { printf '%s\n' "$*" >&2; }
fail() { say "peer_llama.sh: $*"; exit 1; }

[ -x "$se_model" ] || fail "$se_model is not there; build the project or set SE_MODEL"
[ -f "$llama_dir/include/llama.h" ] || fail "$llama_dir holds no include/llama.h"
mkdir -p "$models" "$out"
models=$(cd "$models" && pwd)
out=$(cd "$out" && pwd)
peer=$models/peer_llama

# Static libraries where there are any: then nothing depends on a search path.
build_peer() {
    if [ -n "$(find "$build" -name libllama.a)" ]; then
        libs=
        for name in llama ggml ggml-cpu ggml-base; do
            libs="$libs $(find "$build" -name "lib$name.a" | head -n 1)"
        done
    else
        so=$(find "$build" -name 'libllama.so' | head -n 1)
        [ -n "$so" ] || fail "no libllama under $build"
        dir=$(dirname "$so")
        libs="-L$dir -Wl,-rpath,$dir -lllama -lggml -lggml-cpu -lggml-base"
    fi
    "${CC:-cc}" -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -I"$llama_dir/include" \
        -I"$llama_dir/ggml/include" -c "$here/peer_llama.c" -o "$peer.o"
    # shellcheck disable=SC2086  # a list of words
    "${CXX:-c++}" "$peer.o" $libs -fopenmp -lpthread -ldl -lm -o "$peer"
}

# bf16 meets both of llama.cpp's 16-bit formats: its better one counts.
peer_kinds() {
    case $1 in
    q8) echo q8_0 ;;
    bf16) echo bf16 f16 ;;
    f16) echo f16 ;;
    *) fail "weights $1 have no counterpart" ;;
    esac
}

# $1 shape. A folder is made whole or not at all, so an interrupted run leaves no half of it.
make_models() {
    if [ ! -d "$models/$1" ]; then
        say "making $1"
        rm -rf "$models/$1.part"
        "$se_model" random "$models/$1.part" --shape "$1" --seed 1 >&2
        mv "$models/$1.part" "$models/$1"
    fi
    for w in $weights; do
        for kind in $(peer_kinds "$w"); do
            gguf=$models/$1-$kind.gguf
            [ -f "$gguf" ] && continue
            say "making $gguf"
            python3 "$here/peer_gguf.py" "$models/$1/config.json" "$gguf.part" "$kind"
            mv "$gguf.part" "$gguf"
        done
    done
}

# $1 shape, $2 weights, $3 context, $4 threads, $5 turn
run_ours() {
    # shellcheck disable=SC2086  # a list of words
    "$se_model" bench "$models/$1" $options --rows "$rows" --context "$3" --threads "$4" \
        --weights "$2" --repeat "$repeat" --warm-up "$warm_up" --json \
        >"$out/$1.$2.c$3.t$4.ours.$5.json"
}

run_peer() {
    for kind in $(peer_kinds "$2"); do
        "$peer" "$models/$1-$kind.gguf" --rows "$rows" --context "$3" --threads "$4" \
            --repeat "$repeat" --warm-up "$warm_up" >"$out/$1.$2.c$3.t$4.$kind.$5.json"
    done
}

run_turn() {
    for shape in $shapes; do
        for w in $weights; do
            for c in $contexts; do
                for t in $threads; do
                    say "turn $1 of $turns: $shape $w, context $c, $t thread(s)"
                    if [ $(($1 % 2)) -eq 1 ]; then
                        run_ours "$shape" "$w" "$c" "$t" "$1"
                        run_peer "$shape" "$w" "$c" "$t" "$1"
                    else
                        run_peer "$shape" "$w" "$c" "$t" "$1"
                        run_ours "$shape" "$w" "$c" "$t" "$1"
                    fi
                done
            done
        done
    done
}

build_peer
for shape in $shapes; do
    make_models "$shape"
done
turn=1
while [ "$turn" -le "$turns" ]; do
    run_turn "$turn"
    turn=$((turn + 1))
done
python3 "$here/peer_table.py" "$out"
