#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-run at the command line: whoever drafts, the text is the target's; and how it ends otherwise.
#
#   test_se_run.sh SE_RUN SE_MODEL SE_SERVERD ROOT EDITS
set -u
export LC_ALL=C

program=$1
model=$2
serverd=$3
root=$4
edits=$5 # yes where lines can be edited
here=$root/tests/tools
[ -d "$root/models/tales-draft" ] || { echo "77: $root/models/tales-draft is not there"; exit 77; }
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
unset NO_COLOR
server=
# shellcheck disable=SC2154  # of the helpers
trap 'stop; rm -rf "$work"' EXIT
# By a name without a blank, for lists of options that are split into words.
ln -s "$root" "$work/root"
target=$work/root/models/tales-target
draft=$work/root/models/tales-draft

# await SECONDS COMMAND...: until the command succeeds
await() {
    left=$(($1 * 50))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.02
    done
}

# serve ARGUMENT...: a server of the target in the background, at $url
serve() {
    url=ipc://$work/socket
    "$serverd" --model "$target" --listen "$url" --stat '' "$@" 2>"$work/log" </dev/null &
    server=$!
    await 60 grep -q 'listening on' "$work/log" || fault "no server: $(cat "$work/log")"
}

stop() {
    [ -z "$server" ] || { kill -KILL "$server"; wait "$server"; } 2>/dev/null
    server=
}

# local_run ARGUMENT...: runs with the target in the same process
local_run() { run --local -m "$target" "$@"; }

usage() {
    shows '^se-run [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows '^Usage: se-run \[OPTION' --help
    told_by_manual "$root/docs/man/se-run.1" se-run
    grep -q check-draft "$work/out" && fault 'a hidden option shows'
    refuses 2 'where is the target\? Say --server URL, or --local --model DIR' -p x
    refuses 2 'not both' -p x --local --server tcp://127.0.0.1:1 -m "$target"
    refuses 2 '--local needs .*--model' -p x --local -d "$draft"
    refuses 2 'which tokenizer\? Say --tokenizer DIR' -p x --server tcp://127.0.0.1:1
    refuses 2 'which tokenizer' -p x --server tcp://127.0.0.1:1 -d ngram
    refuses 2 'from what\? Say -p TEXT, -f FILE' --local -m "$target"
    refuses 2 'one of -p, -f, --ids' --local -m "$target" -p x --ids 1
    refuses 2 'one of -p, -f, --ids' --local -m "$target" -p x -i
    refuses 2 '"x" is no token id' --local -m "$target" --ids '1 x'
    refuses 2 'begins with a text' --local -m "$target" --ids 1 --chat
    refuses 2 '--system is for a chat' --local -m "$target" -p x --system y
    refuses 2 '--echo is for text' --local -m "$target" -p x --echo --json
    refuses 2 '--stats or --quiet' --local -m "$target" -p x --stats --quiet
    refuses 2 'top-p' --local -m "$target" -p x --top-p 0
    refuses 2 'proactive.*maybe.*disabled.excluded.included' --local -m "$target" -p x \
        --proactive maybe
    refuses 2 'give-up.*soon' --local -m "$target" -p x --give-up soon
    refuses 2 'one word too many' --local -m "$target" -p x y
    refuses 2 'did you mean --max-budget' --local -m "$target" -p x --max-budgit 3
    refuses 2 'nowhere.yaml' --local -m "$target" -p x -c "$work/nowhere.yaml"
    SE_CPU=nonsense refuses 2 'SE_CPU=nonsense' --local -m "$target" -p x

    shows '^# max-budget: 64$' --print-conf
    cmp -s "$work/out" "$root/conf/edge.yaml" || fault 'conf/edge.yaml is not what --print-conf writes'
}

# What cannot be: one line, before anything is written.
refusals() {
    refuses 1 'nowhere/tokenizer.json' --local -m "$work/nowhere" -p x
    refuses 1 'nowhere/config.json' --local -m "$target" -d "$work/nowhere" -p x
    refuses 1 'no/such/file: No such file' --local -m "$target" -f "$work/no/such/file"
    printf 'a\000b' >"$work/zero"
    refuses 1 'zero byte' --local -m "$target" -f "$work/zero"
    refuses 1 'no/folder/records: No such file' --local -m "$target" -p x \
        --result "$work/no/folder/records"
    refuses 1 "nonsense" --server nonsense -d "$draft" -p x
    refuses 1 "'gopher://x:1'.*no URL|gopher.*tcp" --server gopher://x:1 -d "$draft" -p x
    refuses 1 'im_start|chatml' --local -m "$target" -p x --template chatml
    refuses 1 'prompt is empty' --local -m "$target" --ids '' --ids-out
    refuses 1 '600 ids is longer than the context of 512' --local -m "$target" --ids-out \
        --ids "$(seq -s ' ' 1 600)"
    refuses 1 '600 ids is longer than the context of 64' --local -m "$target" --ids-out \
        --ids "$(seq -s ' ' 1 600)" --context 64

    # Faults that cannot be.
    export SE_FAULTS
    SE_FAULTS=nonsense
    refuses 1 "SE_FAULTS: 'nonsense' is not NAME=VALUE" --server ipc:///x -d "$draft" -p x
    SE_FAULTS=drop=2
    refuses 1 "SE_FAULTS: drop: '2' is out of range, 0 to 1" --server ipc:///x -d "$draft" -p x
    SE_FAULTS=drop=0.1,lost=0.1
    refuses 1 "SE_FAULTS: there is no 'lost'" --server ipc:///x -d "$draft" -p x
    SE_FAULTS=delay=3ms..1ms
    refuses 1 'SE_FAULTS: delay: 1ms is less than 3ms' --server ipc:///x -d "$draft" -p x
    unset SE_FAULTS

    # A draft of another tokenizer, known before the weights are loaded.
    "$model" random "$work/other" --shape tiny-llama --seed 4 || fault 'se-model random'
    refuses 4 'draft model .*/other has another tokenizer than .*tales-target.*[0-9a-f]{16} and [0-9a-f]{16}' \
        --local -m "$target" -d "$work/other" -p x
    # Folders that are damaged, on either side: which file, and what is wrong with it.
    for file in config.json tokenizer.json model.safetensors; do
        rm -rf "$work/damaged"
        cp -r "$draft" "$work/damaged"
        head -c 300 "$draft/$file" >"$work/damaged/$file"
        case $file in
        *.json) what="damaged/$file: .*line [0-9]+" ;;
        *) what="damaged/$file: a header of [0-9]* bytes does not fit \\(the file has 300\\)" ;;
        esac
        refuses 1 "$what" --local -m "$target" -d "$work/damaged" -p x
        refuses 1 "$what" --local -m "$work/damaged" -p x
        rm "$work/damaged/$file"
        refuses 1 "damaged.*$file" --local -m "$target" -d "$work/damaged" -p x
    done

    # The same number of ids, and two of them mean something else.
    mkdir "$work/swapped"
    python3 -c '
import json, sys
words = json.load(open(sys.argv[1] + "/tokenizer.json"))
vocab = words["model"]["vocab"]
vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
json.dump(words, open(sys.argv[2] + "/tokenizer.json", "w"))' "$draft" "$work/swapped"
}

# Whoever drafts, and however: what the target says alone.
texts() {
    sed -n '1,4p' "$root/models/prompts.jsonl" >"$work/four"
    python3 -c '
import json, sys
for line in open(sys.argv[1]):
    print(json.loads(line)["prompt"])' "$work/four" >"$work/prompts"
    for sampling in '--temp 0' '--temp 0.7 --seed 3' '--temp 1.2 --seed 4 --top-p 0.9'; do
        : >"$work/wanted"
        while read -r prompt; do
            # shellcheck disable=SC2086  # options and their values
            "$model" generate "$target" -p "$prompt" -n 40 --ids-out $sampling >>"$work/wanted" ||
                fault "se-model generate $sampling"
        done <"$work/prompts"
        for how in '' '-d DRAFT' '-d DRAFT --speculate on --check-draft' \
            '-d DRAFT --speculate on --proactive disabled --shape published --depth fixed --coupling 0
             --max-beam-len 4 --max-budget 32' \
            '-d DRAFT --speculate on --proactive included --max-n-beams 4 --max-branch-width 3' \
            '-d ngram --speculate on' '-d DRAFT --speculate off'; do
            how=$(printf %s "$how" | sed "s,DRAFT,$draft,")
            # shellcheck disable=SC2086  # options and their values
            run --server "$url" -m "$target" --dataset "$work/four" -n 40 --ids-out $sampling $how
            checks=$((checks + 1))
            [ $code = 0 ] || fault "$sampling $how: exit code $code: $(cat "$work/err")"
            cmp -s "$work/out" "$work/wanted" || fault "$sampling $how: another text"
        done
    done

    # Over a link that loses, doubles and delays.
    "$model" generate "$target" -p 'The fox' -n 60 --temp 0.7 --ids-out >"$work/wanted"
    for how in "--server $url" "--local -m $target"; do
        # shellcheck disable=SC2086  # options and their values
        SE_FAULTS=seed=1,drop=0.1,twice=0.1,late=0.1,delay=1ms..3ms run $how -d "$draft" \
            -p 'The fox' -n 60 --temp 0.7 --ids-out --stats --speculate on --retry 50ms
        checks=$((checks + 1))
        [ $code = 0 ] || fault "faults, $how: exit code $code: $(cat "$work/err")"
        cmp -s "$work/out" "$work/wanted" || fault "faults, $how: another text"
        grep -q 'sent again 0$' "$work/err" && fault "faults, $how: none: $(cat "$work/err")"
    done

    # Past the end of the text, and in one process, text as text.
    for seed in 1 2; do
        "$model" generate "$target" -p 'The fox' -n 60 --temp 1 --seed $seed --ids-out --ignore-eos \
            >"$work/wanted" || fault 'se-model generate'
        local_run -d "$draft" -p 'The fox' -n 60 --temp 1 --seed $seed --ids-out --ignore-eos
        cmp -s "$work/out" "$work/wanted" || fault "--local, seed $seed: another text"
        checks=$((checks + 1))
    done
    "$model" generate "$target" -p 'The fox' -n 30 --temp 0.7 --echo >"$work/wanted"
    local_run -d "$draft" -p 'The fox' -n 30 --temp 0.7 --echo
    cmp -s "$work/out" "$work/wanted" || fault '--echo: another text'
    printf 'The fox' >"$work/prompt"
    run --server "$url" -d "$draft" -f "$work/prompt" -n 30 --temp 0.7 --echo
    cmp -s "$work/out" "$work/wanted" || fault "-f: another text"
    "$program" --server "$url" -d "$draft" -f - -n 30 --temp 0.7 --echo <"$work/prompt" >"$work/out" ||
        fault '-f -'
    cmp -s "$work/out" "$work/wanted" || fault '-f -: another text'
    "$model" generate "$target" -p 'A fox spoke.' -n 30 --chat >"$work/wanted"
    run --server "$url" -d "$draft" -p 'A fox spoke.' -n 30 --chat
    cmp -s "$work/out" "$work/wanted" || fault '--chat: another text'
    gives '' --server "$url" -d "$draft" -p Once -n 0 --ids-out

    run --server "$url" -d "$draft" -p 'The fox' -n 30 --temp 0.7 --echo --color always \
        --speculate on --depth fixed --max-beam-len 3
    sed 's/\x1b\[[0-9;]*m//g' "$work/out" >"$work/plain"
    "$model" generate "$target" -p 'The fox' -n 30 --temp 0.7 --echo >"$work/wanted"
    cmp -s "$work/plain" "$work/wanted" || fault '--color always: another text'
    grep -q "$(printf '\033\\[32m')" "$work/out" || fault '--color always: nothing was drafted'

    # The end of the context, as se-model has it.
    run --server "$url" -d "$draft" --ids "$(seq -s ' ' 1 508)" -n 100 --ids-out --ignore-eos
    [ $code = 0 ] && [ "$(wc -w <"$work/out")" = 5 ] && grep -q 'context of 512 tokens is full' \
        "$work/err" || fault "the end of the context: $code, $(cat "$work/out" "$work/err")"
    checks=$((checks + 7))
}

numbers() {
    runs_well --server "$url" -d "$draft" -p 'The fox' -n 40 --json --ids-out --speculate on \
        --depth fixed --max-beam-len 3 --max-budget 8 --result "$work/records"
    python3 - "$work/out" "$work/records" <<'PY' || fault '--json, --result'
import json, sys
(answer,) = [json.loads(line) for line in open(sys.argv[1])]
assert answer['tokens'] == len(answer['ids']) == answer['summary']['tokens'] == 40, answer
assert answer['text'] and not answer['stopped'] and not answer['context_full'], answer
assert 'error' not in answer and answer['seed'] == 0, answer
rounds = [json.loads(line) for line in open(sys.argv[2])]
s = answer['summary']
assert s['rounds'] == len(rounds) and s['answers'] == 1, (s, len(rounds))
assert sum(r['num_accepted_tokens'] for r in rounds) == 40, rounds
assert [r['step_idx'] for r in rounds] == list(range(len(rounds))), rounds
assert sum(r['up_bytes'] for r in rounds) == s['up_bytes'] > 0
assert sum(r['down_bytes'] for r in rounds) == s['down_bytes'] > 0
assert sum(r['ahead']['hit'] for r in rounds) == s['bets_won']
assert abs(s['tokens_per_verify'] - 40 / len(rounds)) < 1e-6 and s['tokens_per_s'] > 0
assert 0 < s['inter_token_ms']['p50'] <= s['inter_token_ms']['p95']
assert s['first_token_s'] > 0 and s['resends'] == 0
for r in rounds:
    assert set(r) >= {'timestamp', 'client_idx', 'req_idx', 'draft', 'target', 'kind'}, r
    assert r['client_idx'] == r['req_idx'] == 0 and r['sent'] == 1
    assert r['target']['prefill'] == (r['step_idx'] == 0)
    assert r['kind'] in ('tree', 'plain', 'pushed')
assert any(r['kind'] == 'tree' and r['nodes'] > 0 and r['depth'] > 0 for r in rounds)
PY
    run --server "$url" -d "$draft" -p 'The fox' -n 20 --stats
    grep -Eq '^20 tokens in [0-9]+ rounds, [0-9.]+ tokens per verify; ' "$work/err" &&
        grep -Eq '^first token after [0-9.]+ ms, between tokens [0-9.]+ ms p50' "$work/err" &&
        grep -Eq '^bets won .*bytes per token [0-9.]+ up, [0-9.]+ down; sent again 0$' "$work/err" ||
        fault "--stats: $(cat "$work/err")"
    checks=$((checks + 2))
}

dataset() {
    cat >"$work/set" <<'JSON'
{"question_id": 81, "category": "writing", "turns": ["The old king", "Again."]}

{"question_id": "b", "category": "roles", "turns": ["A poor woodcutter"], "more": [1]}
{"id": 3, "category": "writing", "prompt": "In the forest"}
{"prompt": "The fox"}
JSON
    run --server "$url" -d "$draft" --dataset "$work/set" -n 8 --json --stats --ignore-eos
    [ $code = 0 ] || fault "--dataset: $code, $(cat "$work/err")"
    python3 - "$work/out" <<'PY' || fault '--dataset --json'
import json, sys
answers = [json.loads(line) for line in open(sys.argv[1])]
assert [a.get('id') for a in answers] == [81, 'b', 3, None], answers
assert [a.get('category') for a in answers] == ['writing', 'roles', 'writing', None], answers
assert [a['line'] for a in answers] == [1, 3, 4, 5] and all(a['tokens'] == 8 for a in answers)
assert all(a['summary']['answers'] == 1 and 'error' not in a for a in answers)
PY
    grep -Eq '^writing +2 answers, +16 tokens, ' "$work/err" &&
        grep -Eq '^roles +1 answers, +8 tokens, ' "$work/err" &&
        grep -Eq '^\(none\) +1 answers, ' "$work/err" &&
        grep -Eq '^32 tokens in ' "$work/err" || fault "--dataset --stats: $(cat "$work/err")"
    runs_well --server "$url" -d "$draft" --dataset "$work/set" -n 4 --ids-out --ignore-eos \
        --offset 1 --stride 2 --max-requests 1 --result "$work/records"
    [ "$(wc -l <"$work/out")" = 1 ] && grep -q '"req_idx":1,' "$work/records" ||
        fault "--offset, --stride: $(cat "$work/out")"
    refuses 1 'set: no prompt from number 9 on, of 4' --server "$url" -d "$draft" \
        --dataset "$work/set" --offset 9

    { head -n 1 "$work/set" && echo '{"prompt": "x"'; } >"$work/bad"
    refuses 1 '/bad:2: no JSON object: ' --server "$url" -d "$draft" --dataset "$work/bad"
    { head -n 2 "$work/set" && echo '{"turns": [7]}'; } >"$work/bad"
    refuses 1 '/bad:3: neither a text "prompt" nor a list of texts "turns"' --server "$url" \
        -d "$draft" --dataset "$work/bad"
    : >"$work/bad"
    refuses 1 'bad: there is no prompt in it' --server "$url" -d "$draft" --dataset "$work/bad"

    # One that is too long does not end the others.
    python3 -c '
import json
print(json.dumps({"prompt": "fox " * 700}))
print(json.dumps({"prompt": "The fox"}))' >"$work/long"
    run --server "$url" -d "$draft" --dataset "$work/long" -n 4 --json
    [ $code = 6 ] && grep -q '/long:1: .*longer than the context of 512' "$work/err" &&
        grep -q '^se-run: 1 of 2 prompts were not answered$' "$work/err" &&
        [ "$(wc -l <"$work/out")" = 2 ] || fault "a prompt that is too long: $code, $(cat "$work/err")"
    checks=$((checks + 5))
}

# Output that nobody takes, a disk that is full, a user who has seen enough.
endings() {
    "$model" generate "$target" -p 'The fox' -n 30 >"$work/wanted"
    run --server "$url" -d "$draft" -p 'The fox' -n 30 --result /dev/full
    [ $code = 6 ] && cmp -s "$work/out" "$work/wanted" &&
        grep -q '^se-run: /dev/full: No space left on device; the records before are whole$' \
            "$work/err" || fault "--result /dev/full: $code, $(cat "$work/err")"
    (
        ulimit -f 2 # blocks of 512 bytes
        trap '' XFSZ
        "$program" --server "$url" -d "$draft" -p 'The fox' -n 30 --result "$work/short" \
            >"$work/out" 2>"$work/err"
        [ $? = 6 ] || exit 1
    ) && grep -q 'short: File too large' "$work/err" && [ -s "$work/short" ] &&
        python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' \
            "$work/short" || fault "--result on a full disk: $(cat "$work/err")"
    mkfifo "$work/readers"
    head -n 1 "$work/readers" >"$work/first" &
    reader=$!
    run --server "$url" -d "$draft" -p 'The fox' -n 100 --result "$work/readers"
    wait $reader
    [ $code = 6 ] && grep -q 'readers: Broken pipe' "$work/err" ||
        fault "--result into a closed pipe: $code, $(cat "$work/err")"

    "$program" --server "$url" -d "$draft" -p x -n 8 >/dev/full 2>"$work/err"
    [ $? = 1 ] && grep -q '^se-run: standard output: ' "$work/err" || fault 'a full disk goes unseen'
    (
        "$program" --server "$url" -d "$draft" -p x -n 100000 --ignore-eos 2>"$work/err"
        echo $? >"$work/code"
    ) | head -c 1 >/dev/null
    [ "$(cat "$work/code")" = 141 ] && [ ! -s "$work/err" ] ||
        fault "a closed pipe: $(cat "$work/code" "$work/err")"

    mkfifo "$work/pipe"
    "$program" --server "$url" -d "$draft" -p x -n 100000 --ids-out --ignore-eos >"$work/pipe" \
        2>"$work/err" &
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
    checks=$((checks + 6))
}

# comes_back_as CODE PATTERN ARGUMENT...: a server dies in the middle of an answer, and one with
# these settings takes its place. What was written stays, and is what was wanted.
comes_back_as() {
    wants=$1 pattern=$2
    shift 2
    "$program" --server "$url" -d "$draft" -p 'The fox' -n 400 --temp 0.7 --ids-out --ignore-eos \
        --retry 100ms --speculate on >"$work/text" 2>"$work/err" &
    writer=$!
    {
        head -c 200
        kill -STOP $writer # else a fast one has written it all by then
        stop
        serve --max-sessions 1 "$@"
        kill -CONT $writer
        cat
    } <"$work/text" >"$work/out"
    wait $writer
    code=$?
    checks=$((checks + 1))
    [ $code = "$wants" ] && grep -Eq "$pattern" "$work/err" ||
        fault "a server that comes back with $*: $code, $(cat "$work/err")"
    python3 - "$work/out" "$work/wanted" $code <<'PY' || fault "comes back with $*: another text"
import sys
out, wanted = (open(path).read() for path in sys.argv[1:3])
ids = out.split()
assert out[-1] == '\n' and len(ids) > 20 and ids == wanted.split()[:len(ids)], out
assert sys.argv[3] != '0' or out == wanted, len(ids)
PY
}

# Servers that are not there, not ours, full, or gone in the middle of it.
servers() {
    for form in '' --json; do
        # shellcheck disable=SC2086  # none or one
        run --server "ipc://$work/nobody" -d "$draft" -p x --give-up 300ms $form
        checks=$((checks + 1))
        [ $code = 3 ] && grep -Eq 'nobody.*no server' "$work/err" ||
            fault "nobody there: exit code $code, $(cat "$work/err")"
    done
    grep -q '"error": .*no server' "$work/out" || fault "nobody there, --json: $(cat "$work/out")"
    refuses 4 'refuses: .*another number of ids .*2048.*512' --server "$url" \
        --tokenizer "$work/other" -p x
    refuses 4 'refuses: .*other ids .*fingerprint [0-9a-f]{16}, ours [0-9a-f]{16}' --server "$url" \
        --tokenizer "$work/swapped" -p x

    # It dies in the middle of an answer, and another one comes in its place.
    "$model" generate "$target" -p 'The fox' -n 400 --temp 0.7 --ids-out --ignore-eos >"$work/wanted"
    mkfifo "$work/text"
    "$program" --server "$url" -d "$draft" -p 'The fox' -n 400 --temp 0.7 --ids-out --ignore-eos \
        --retry 100ms >"$work/text" 2>"$work/err" &
    writer=$!
    {
        head -c 20
        kill -STOP $writer
        stop
        kill -CONT $writer
        await 20 grep -q 'connection is lost' "$work/err" || fault "not told: $(cat "$work/err")"
        serve --max-sessions 1
        cat
    } <"$work/text" >"$work/out"
    wait $writer || fault "a server that comes back: $?, $(cat "$work/err")"
    cmp -s "$work/out" "$work/wanted" || fault 'a server that comes back: another text'

    # The other one takes less, or is not the same.
    comes_back_as 0 'connected again' --max-nodes 2
    comes_back_as 1 'se-run: a text of [0-9]+ ids is longer than the context of 20$' --context 20
    stop
    serve --max-sessions 1
    comes_back_as 4 'the server came back with another model' --weights q8
    stop
    serve --max-sessions 1

    # It dies and none comes back: what was written stays, on its line, and so do the records.
    "$program" --server "$url" -d "$draft" -p 'The fox' -n 400 --temp 0.7 --ids-out --ignore-eos \
        --give-up 2s --result "$work/records" >"$work/text" 2>"$work/err" &
    writer=$!
    {
        head -c 20
        stop
        cat
    } <"$work/text" >"$work/out"
    wait $writer
    code=$?
    [ $code = 3 ] && grep -q 'no server for 2\.[0-9] s$' "$work/err" ||
        fault "a server that does not come back: $code, $(cat "$work/err")"
    python3 - "$work/out" "$work/wanted" "$work/records" <<'PY' || fault 'what came of an answer is lost'
import json, sys
out, wanted = (open(path).read() for path in sys.argv[1:3])
ids = out.split()
assert out[-1] == '\n' and len(ids) > 3 and ids == wanted.split()[:len(ids)], out
records = [json.loads(line) for line in open(sys.argv[3])]
assert sum(record['num_accepted_tokens'] for record in records) == len(ids)
PY
    serve --max-sessions 1
    "$program" --server "$url" -d "$draft" --dataset "$work/four" -n 300 --ignore-eos --json \
        --ids-out --give-up 2s --result "$work/records" >"$work/out" 2>"$work/err" &
    writer=$!
    await 60 grep -q '"req_idx":1,' "$work/records" || fault "a dataset: $(cat "$work/err")"
    stop
    wait $writer
    code=$?
    [ $code = 3 ] || fault "a dataset without a server: $code, $(cat "$work/err")"
    python3 - "$work/out" <<'PY' || fault 'answers of a dataset are lost'
import json, sys
answers = [json.loads(line) for line in open(sys.argv[1])]
assert all(answer['tokens'] == 300 and 'error' not in answer for answer in answers[:-1]), answers
last = answers[-1]
assert len(answers) > 1 and 'no server for' in last['error'], last
assert last['tokens'] == len(last['ids']) < 300, last
PY
    serve --max-sessions 1
    checks=$((checks + 4))

    # The one place is taken by somebody who says nothing.
    mkfifo "$work/lines"
    "$program" --server "$url" -d "$draft" -i -n 4 <"$work/lines" >"$work/said" 2>"$work/err2" &
    other=$!
    exec 3>"$work/lines"
    echo 'A fox spoke.' >&3
    await 30 test -s "$work/said" || fault "a chat through a pipe: $(cat "$work/err2")"
    run --server "$url" -d "$draft" -p x --on-busy fail
    [ $code = 5 ] && grep -q 'full' "$work/err" || fault "full: $code, $(cat "$work/err")"
    exec 3>&-
    wait $other || fault "a chat through a pipe: $?, $(cat "$work/err2")"
    run --server "$url" -d "$draft" -p x -n 4 --on-busy fail
    [ $code = 0 ] || fault "nobody is there any more: $code, $(cat "$work/err")"
    checks=$((checks + 6))
}

# Settings from files, ours and theirs.
files() {
    cat >"$work/edge.yaml" <<YAML
server: $url
draft: $draft
tokens: 12
temp: 0.7
proactive: disabled
YAML
    "$model" generate "$target" -p 'The fox' -n 12 --temp 0.7 --seed 2 >"$work/wanted"
    runs_well -c "$work/edge.yaml" -p 'The fox' --seed 2
    cmp -s "$work/out" "$work/wanted" || fault "-c: another text: $(cat "$work/out")"
    echo 'tokens: many' >"$work/wrong.yaml"
    refuses 2 "wrong.yaml:1: tokens: 'many' is not a whole number" -c "$work/wrong.yaml" -p x
    sed -e "s,host: .*,host: localhost:1," "$here/published.yaml" >"$work/theirs.yaml"
    run -c "$work/theirs.yaml" --server "$url" -d "$draft" --dataset '' -p 'The fox' -n 4
    [ $code = 0 ] && grep -q 'theirs.yaml:[0-9]*: client.reasoning: ' "$work/err" ||
        fault "a published file: $code, $(cat "$work/err")"
    checks=$((checks + 1))
}

chat() {
    printf 'There was once a fox.\nAnd then?\n/nonsense\n' >"$work/lines.txt"
    "$program" --server "$url" -d "$draft" -i -n 12 --ids-out <"$work/lines.txt" >"$work/out" \
        2>"$work/err" || fault "--interactive: $(cat "$work/err")"
    [ "$(wc -l <"$work/out")" = 2 ] && grep -q 'no command' "$work/err" ||
        fault "--interactive: $(cat "$work/out" "$work/err")"
    "$model" generate "$target" -p 'There was once a fox.' -n 12 --chat --ids-out | cmp -s - \
        "$work/first" 2>/dev/null
    head -n 1 "$work/out" >"$work/first"
    "$model" generate "$target" -p 'There was once a fox.' -n 12 --chat --ids-out >"$work/wanted"
    cmp -s "$work/first" "$work/wanted" || fault '--interactive: another text'
    mkdir "$work/home"
    python3 "$here/chat.py" "$program" "$root" "$work/home" "$edits" >"$work/chat" 2>&1 ||
        fault "at the terminal: $(cat "$work/chat")"
    checks=$((checks + 3))
}

try_the_checks
usage
refusals
serve
texts
numbers
dataset
endings
files
chat
servers
conclude
