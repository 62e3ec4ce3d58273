#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-model at the command line: what it prints, how it ends, what it says when it cannot.
#
#   test_se_model.sh SE_MODEL ROOT
set -u
export LC_ALL=C

program=$1
root=$2
target=$root/models/tales-target
draft=$root/models/tales-draft
here=$root/tests/tools
[ -d "$draft" ] || { echo "77: $draft is not there"; exit 77; }
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"

usage() {
    shows '^se-model [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows 'perplexity' --help
    for verb in info tokenize detokenize generate logits perplexity random bench; do
        shows "^Usage: se-model $verb " $verb --help
        shows '--weights' $verb --help
        told_by_manual "$root/docs/man/se-model.1" $verb
        refuses 2 'is missing' $verb
        refuses 2 'no such option; there are .*--threads' $verb "$draft" --no-such-option
    done
    refuses 2 'which verb.*generate'
    refuses 2 '"--threads" before the verb' --threads 1
    refuses 2 'generate' genrate "$draft"
    refuses 2 'one word too many' generate "$draft" "$draft" -p x
    refuses 2 'Say -p TEXT or --ids' generate "$draft"
    refuses 2 'not both' generate "$draft" -p x --ids 1
    refuses 2 "warm" generate "$draft" -p x --temp warm
    refuses 2 'top-p' generate "$draft" -p x --top-p 0
    refuses 2 'min-p' generate "$draft" -p x --min-p 1
    refuses 2 "weights.*q4.*stored.f32.bf16.q8" generate "$draft" -p x --weights q4
    refuses 2 'threads' generate "$draft" -p x --threads 100000
    refuses 2 'value is missing' generate "$draft" -p
    refuses 2 'ids' logits "$draft"
    refuses 2 '"x" is no token id' logits "$draft" --ids '1 x'
    refuses 2 '"-1" is no token id' generate "$draft" --ids '-1'
    refuses 2 'too large' generate "$draft" --ids 99999999999
    refuses 2 'system' generate "$draft" -p x --system y
    refuses 2 'shape' random "$work/none"
    refuses 2 'no shape "tiny-lama": there are .*tiny-llama' random "$work/none" --shape tiny-lama
    refuses 2 'rows' bench "$draft" --rows 1,x
    refuses 2 'rows' bench "$draft" --rows 0
    [ ! -e "$work/none" ] || fault 'a refused random left a folder'
    SE_CPU=nonsense refuses 2 'SE_CPU=nonsense' info "$draft"
}

text() {
    "$program" tokenize "$draft" --text 'x<|end|>y' >"$work/out" || fault 'tokenize'
    grep -q ' 2047 ' "$work/out" || fault 'a special token in the text has no id of its own'
    "$program" tokenize "$draft" --plain --text 'x<|end|>y' >"$work/out" || fault 'tokenize --plain'
    grep -q ' 2047 ' "$work/out" && fault '--plain makes special tokens of text'
    gives '' tokenize "$draft" --bare --text ''
    gives '2043' tokenize "$draft" --text ''

    # There and back, every byte of it: all of a file, then hurtful small texts.
    for file in "$root/models/data/valid.txt" "$here/broken_models.py"; do
        checks=$((checks + 1))
        "$program" tokenize "$draft" <"$file" | "$program" detokenize "$draft" |
            cmp -s - "$file" || fault "$file: text, ids, text differs"
    done
    for sample in 'a' ' a' '  ' '\n\n a\n' '\r\n\t' 'caf\303\251' '\360\237\230\200\360\237\217\275' \
        'e\314\201' '\344\275\240\345\245\275' '\001\002' 'a\000b'; do
        checks=$((checks + 1))
        # shellcheck disable=SC2059  # the sample is a format
        printf "$sample" >"$work/sample"
        "$program" tokenize "$draft" <"$work/sample" >"$work/ids" || fault "tokenize $sample"
        [ "$(wc -l <"$work/ids")" = 1 ] || fault "tokenize $sample: not one line"
        "$program" detokenize "$draft" <"$work/ids" | cmp -s - "$work/sample" ||
            fault "'$sample': text, ids, text differs"
    done
    gives '<|bos|>' detokenize "$draft" --special --ids 2043
    gives '' detokenize "$draft" --ids 2043
    refuses 1 '2048 .*beyond the vocabulary of .*tales-draft.* 2047' detokenize "$draft" --ids 2048
    refuses 1 'tokenizer.json' tokenize "$work" --text x
}

generation() {
    # Golden: an independent program's greedy ids in float32, EOS ignored.
    python3 - "$root/models/golden.json" >"$work/golden" <<'PY'
import json, sys
for p in json.load(open(sys.argv[1]))["prompts"][:2]:
    print(" ".join(map(str, p["ids"])))
    print(p["prompt"])
    for name in ("target", "draft"):
        print(" ".join(map(str, p[name]["greedy"])))
PY
    while read -r ids && read -r prompt && read -r of_target && read -r of_draft; do
        gives "$ids" tokenize "$target" --text "$prompt"
        gives "$of_target" generate "$target" --ids "$ids" -n 64 --ids-out --ignore-eos -w f32
        gives "$of_draft" generate "$draft" -p "$prompt" -n 64 --ids-out --ignore-eos -w f32
    done <"$work/golden"

    # The same seed, the same ids; whoever computes.
    for temp in 0 0.7 1.0 1.5; do
        for weights in stored f32 q8; do
            "$program" generate "$draft" -p 'The old woman' -n 48 --temp $temp --seed 11 --ids-out \
                --ignore-eos -w $weights -t 1 >"$work/one" || fault "generate at $temp, 1 thread"
            "$program" generate "$draft" -p 'The old woman' -n 48 --temp $temp --seed 11 --ids-out \
                --ignore-eos -w $weights -t 2 >"$work/two" || fault "generate at $temp, 2 threads"
            checks=$((checks + 1))
            cmp -s "$work/one" "$work/two" || fault "T $temp, $weights: 1 and 2 threads differ"
            [ "$(wc -w <"$work/one")" = 48 ] || fault "T $temp, $weights: not 48 ids"
            "$program" generate "$draft" -p 'The old woman' -n 48 --temp $temp --seed 11 --ids-out \
                --ignore-eos -w $weights --preload >"$work/two" || fault "generate --preload at $temp"
            cmp -s "$work/one" "$work/two" || fault "T $temp, $weights: --preload changes the ids"
        done
        [ $temp = 0 ] && continue
        "$program" generate "$draft" -p 'The old woman' -n 48 --temp $temp --seed 12 --ids-out \
            --ignore-eos -w q8 >"$work/two" || fault 'generate with another seed'
        cmp -s "$work/one" "$work/two" && fault "T $temp: seeds 11 and 12 give the same ids"
    done

    # Processes that share a model: the golden ids, and the same ids again.
    ids=$(sed -n 1p "$work/golden")
    of_target=$(sed -n 3p "$work/golden")
    for tp in 2 4; do
        gives "$of_target" generate "$target" --ids "$ids" -n 64 --ids-out --ignore-eos -w f32 --tp $tp
        gives "$of_target" generate "$target" --ids "$ids" -n 64 --ids-out --ignore-eos -w f32 --tp $tp -t 2
    done
    shows '^backend .*, 2 ranks, 6 threads$' info "$target" --tp 2 -t 3
    refuses 1 '^se-model: --tp 3: .*: 3 ranks cannot share 4 key-value heads; .* among 1, 2, 4$' \
        generate "$target" -p x -n 1 --tp 3
    refuses 1 '8-bit weights in groups of 32 under an mlp of 704; .* among 1, 2$' \
        generate "$target" -p x -n 1 --tp 4 -w q8

    # A cut to one token is greedy, whatever the temperature.
    "$program" generate "$draft" -p 'The fox' -n 32 --ids-out >"$work/one"
    for cut in '--top-k 1' '--top-p 0.000001' '--min-p 0.999999'; do
        # shellcheck disable=SC2086  # an option and its value
        gives "$(cat "$work/one")" generate "$draft" -p 'The fox' -n 32 --ids-out --temp 1.5 $cut
    done

    # Text and ids say the same; the text ends with a newline, the prompt comes first on wish.
    "$program" generate "$draft" -p 'Once upon a time' -n 24 --temp 0.7 --seed 3 --ids-out \
        >"$work/ids" || fault 'generate --ids-out'
    "$program" detokenize "$draft" <"$work/ids" >"$work/one" && echo >>"$work/one"
    "$program" generate "$draft" -p 'Once upon a time' -n 24 --temp 0.7 --seed 3 >"$work/two" ||
        fault 'generate'
    cmp -s "$work/one" "$work/two" || fault 'the text is not that of the ids'
    "$program" generate "$draft" -p 'Once upon a time' -n 24 --temp 0.7 --seed 3 --echo >"$work/out"
    { printf 'Once upon a time' && cat "$work/two"; } | cmp -s - "$work/out" || fault 'generate --echo'
    gives '' generate "$draft" -p 'Once' -n 0 --ids-out
    shows . generate "$draft" -p 'There was once a fox.' -n 16 --chat
    shows . generate "$draft" -p 'There was once a fox.' -n 16 --template plain
    refuses 1 'im_start|chatml' generate "$draft" -p 'x' -n 4 --template chatml
    shows . generate "$draft" -p '' -n 4

    refuses 1 '2048.*beyond the vocabulary of .*tales-draft' generate "$draft" --ids '1 2048' --ids-out
    refuses 1 'prompt is empty' generate "$draft" --ids '' --ids-out
    refuses 1 '600 tokens.*context of .*tales-draft: 512' generate "$draft" --ids-out \
        --ids "$(seq -s ' ' 1 600)"
    # shellcheck disable=SC2046  # words
    refuses 1 'longer than the context' generate "$draft" -p "$(printf 'fox %.0s' $(seq 700))"
    run generate "$draft" --ids "$(seq -s ' ' 1 508)" -n 100 --ids-out --ignore-eos
    [ $code = 0 ] && [ "$(wc -w <"$work/out")" = 5 ] && grep -q 'context of 512 tokens is full' \
        "$work/err" || fault "the end of the context: $code, $(cat "$work/out" "$work/err")"
    refuses 1 '/nowhere/config.json' generate "$work/nowhere" -p x
    run generate "$draft" -p 'The fox' -n 8 --stats
    grep -q '^prompt [0-9]* tokens in ' "$work/err" || fault "--stats: $(cat "$work/err")"
}

# Output that nobody takes, and a user who has seen enough.
endings() {
    checks=$((checks + 3))
    "$program" logits "$draft" --ids 1 --json >/dev/full 2>"$work/err"
    [ $? = 1 ] && grep -q '^se-model: standard output: ' "$work/err" || fault 'a full disk goes unseen'
    (
        trap '' PIPE
        "$program" logits "$draft" --ids '1 2 3 4 5 6 7 8' --all --json 2>"$work/err"
    ) | head -c 10 >/dev/null
    [ ! -s "$work/err" ] || fault "a closed pipe: $(cat "$work/err")"

    # The first line of the FIFO tells that it writes; then it is interrupted.
    mkfifo "$work/pipe"
    "$program" generate "$work/long" --ids 1 -n 1000000 --ids-out --ignore-eos \
        >"$work/pipe" 2>"$work/err" &
    writer=$!
    {
        head -c 20 >"$work/begun"
        kill -INT $writer
        cat >"$work/rest"
    } <"$work/pipe"
    wait $writer
    code=$?
    [ $code = 130 ] || fault "interrupted: exit code $code, $(cat "$work/err")"
    [ "$(tail -c 1 "$work/rest" | od -An -tx1 | tr -d ' ')" = 0a ] || fault 'interrupted in a line'
}

random_models() {
    for shape in tiny-llama tiny-mistral tiny-qwen2 tiny-qwen3; do
        gives '' random "$work/$shape" --shape $shape --seed 4
        shows 'ids, fingerprint' info "$work/$shape"
        shows . generate "$work/$shape" -p 'any text at all' -n 8 --temp 1 --ids-out
    done
    # The same seed, the same bytes: whatever the threads; shards hold the same tensors.
    gives '' random "$work/again" --shape tiny-llama --seed 4 --threads 1
    diff -r "$work/tiny-llama" "$work/again" >/dev/null || fault 'random: the same seed, other bytes'
    gives '' random "$work/other" --shape tiny-llama --seed 5
    cmp -s "$work/tiny-llama/model.safetensors" "$work/other/model.safetensors" &&
        fault 'random: seeds 4 and 5 give the same weights'
    sed 's/"max_position_embeddings": 1024/"max_position_embeddings": 100000/' \
        "$work/tiny-llama/config.json" >"$work/long.json"
    gives '' random "$work/long" --config "$work/long.json"
    gives '' random "$work/wide" --config "$work/tiny-llama/config.json" --seed 4 --dtype f32
    gives '' random "$work/half" --config "$work/tiny-llama/config.json" --seed 4 --dtype f16
    shows 'f16' info "$work/half"
    refuses 1 'not empty' random "$work/again" --shape tiny-llama
    refuses 1 'nowhere' random "$work/nowhere/x" --shape tiny-llama
    refuses 1 'config.json' random "$work/x" --config "$work/nowhere/config.json"

    # A limit on the size of files is a disk that is full.
    (
        ulimit -f 100 # blocks of 512 bytes
        "$program" random "$work/full" --shape tiny-llama >"$work/out" 2>"$work/err"
        [ $? = 1 ] || exit 1
    ) || fault 'random: a full disk goes unseen'
    grep -q '^se-model: .*full/model.safetensors: ' "$work/err" || fault "random: $(cat "$work/err")"
    [ ! -e "$work/full" ] || fault 'random: a full disk leaves files behind'
}

numbers() {
    shows '^architecture +LlamaForCausalLM$' info "$draft"
    shows '^parameters +631424 ' info "$draft"
    shows '"vocab": 2048, "positions": \[2\]' logits "$draft" --ids '2043 1 2' --json
    shows '"positions": \[0, 1, 2\]' logits "$draft" --ids '2043 1 2' --json --all
    shows '^position 2$' logits "$draft" --ids '2043 1 2'
    refuses 1 'beyond the vocabulary' logits "$draft" --ids '2043 2048'
    "$program" logits "$draft" --ids '2043 1 2' --json --all | python3 -c '
import json, math, sys
rows = json.load(sys.stdin)["logits"]
sys.exit(not (len(rows) == 3 and all(len(r) == 2048 and all(map(math.isfinite, r)) for r in rows)))
' || fault 'logits --json --all'

    # 27.5612 is what transformers gives for these 4096 tokens, in float32.
    shows '^perplexity 27\.56[01].* 4096 tokens in windows of 512' perplexity "$draft" \
        "$root/models/data/valid.txt" --documents --limit 4096 -w f32
    shows '"tokens": 64, "window": 16' perplexity "$draft" "$root/models/data/valid.txt" \
        --limit 64 --window 16 --json
    refuses 1 'tales-draft/config.json is no folder; the folder it lies in is .*/tales-draft$' \
        info "$draft/config.json"
    refuses 1 'nowhere' perplexity "$draft" "$work/nowhere"
    refuses 1 'window 513 .*512' perplexity "$draft" "$root/models/data/valid.txt" --window 513
    : >"$work/empty"
    refuses 1 'empty' perplexity "$draft" "$work/empty"

    "$program" bench "$work/tiny-llama" --rows 1,9,9t --context 20 --repeat 3 --warm-up 1 --json |
        python3 -c '
import json, sys
b = json.load(sys.stdin)
r = b["results"]
assert [(x["rows"], x["tree"]) for x in r] == [(1, False), (9, False), (9, True)], r
assert all(len(x["ms"]) == 3 and min(x["ms"]) > 0 and x["bytes"] > 0 for x in r), r
assert b["floor"]["read_bytes_per_s"] > 0 and b["context"] == 20, b
' || fault 'bench --json'
    shows 'decode' bench "$work/tiny-llama" --rows 1,3 --context 20 --repeat 1 --as decode
    shows 'prefill' bench "$work/tiny-llama" --rows 16 --context 0 --repeat 1 --as prefill
    refuses 1 'context' bench "$draft" --rows 1 --context 512
}

# Folders that lie: one line that names the file, and an exit code.
broken() {
    gives '' random "$work/good" --shape tiny-llama --seed 4 --shard-mib 0.1
    mkdir "$work/broken"
    python3 "$here/broken_models.py" "$work/good" "$work/broken" >"$work/cases" ||
        fault 'broken_models.py'
    "$program" logits "$work/tiny-llama" --ids '1 2' --json >"$work/one"
    gives "$(cat "$work/one")" logits "$work/good" --ids '1 2' --json
    while IFS='	' read -r name weights pattern; do
        breaks_off 1 "$pattern" logits "$work/broken/$name" --ids '1 2 3' -w "$weights" --json
        grep -Fq "$work/broken/$name" "$work/err" || fault "$name: no path in '$(cat "$work/err")'"
    done <"$work/cases"

    cp -r "$work/tiny-llama" "$work/words"
    cp "$draft/tokenizer.json" "$work/words/"
    refuses 1 'words/tokenizer.json.*2048.*512' generate "$work/words" -p x
    head -c 5000 "$draft/tokenizer.json" >"$work/words/tokenizer.json"
    refuses 1 'words/tokenizer.json' tokenize "$work/words" --text x
    rm "$work/words/tokenizer.json"
    refuses 1 'words/tokenizer.json' generate "$work/words" -p x
    shows . generate "$work/words" --ids '1 2' -n 4 --ids-out
    shows 'tokenizer +none' info "$work/words"
    breaks_off 1 'broken/nan-stored: ' generate "$work/broken/nan-stored" --ids '1 2' --ids-out
    breaks_off 1 'broken/nan-stored: ' generate "$work/broken/nan-stored" --ids '1 2' --ids-out --temp 1
}

try_the_checks
usage
text
generation
random_models
endings
numbers
broken
conclude
