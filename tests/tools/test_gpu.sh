#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The programs with a GPU that is not there: the module of the emulator in the real one's place.
#
#   test_gpu.sh SE_MODEL SE_SERVERD SE_RUN SE_RANK ROOT MODULE
set -u
export LC_ALL=C

program=$1
serverd=$2
run=$3
rank=$4
root=$5
export SE_CUDA_MODULE="$6"
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
target=$root/models/tales-target
draft=$root/models/tales-draft
server=
# shellcheck disable=SC2154  # of the helpers
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null; rm -rf "$work"' EXIT

# What the processor writes, greedily, and the GPU: rounded otherwise, with the same best token.
prompt='Once upon a time'
runs_well generate "$draft" --backend cpu -p "$prompt" -n 12 --ids-out
greedy=$(cat "$work/out")
gives "$greedy" generate "$draft" --backend cuda -p "$prompt" -n 12 --ids-out
shows 'cuda \(' info "$draft" --backend cuda
# A GPU is taken where there is one.
shows 'cuda \(' info "$draft" --backend auto
shows 'cpu \(' info "$draft" --backend cpu
refuses 1 'GPU 9' generate "$draft" --backend cuda:9 -p "$prompt" -n 1
# Two of them share it.
gives "$greedy" generate "$draft" --backend cuda --tp 2 -p "$prompt" -n 12 --ids-out
shows 'cuda \(emulator\), 2 ranks' info "$draft" --backend auto --tp 2
gives "$greedy" generate "$draft" --backend cuda:5,2 -p "$prompt" -n 12 --ids-out
refuses 1 'GPU 9' generate "$draft" --backend cuda:0,9 -p "$prompt" -n 1
refuses 1 '2 ranks on this machine, and 3 devices' \
    generate "$draft" --backend cuda:0,1,2 --tp 2 -p "$prompt" -n 1

# Two machines do, with one of them each.
"$program" generate "$draft" --backend cuda --tp 2 --nodes 2 --meet 127.0.0.1:0 -p "$prompt" -n 12 \
    --ids-out >"$work/out" 2>"$work/log" </dev/null &
server=$!
left=3000
until grep -q 'waiting for machine 2 of 2' "$work/log"; do
    left=$((left - 1))
    if [ $left -eq 0 ]; then
        fault "nobody meets: $(cat "$work/log")"
        break
    fi
    sleep 0.02
done
"$rank" --model "$draft" --backend cuda:7 \
    --join "$(sed -n 's/.*: waiting for machine 2 of 2 at //p' "$work/log" | head -n 1)" 2>"$work/err" \
    </dev/null || fault "se-rank: $(cat "$work/err")"
wait "$server" || fault "two machines: $(cat "$work/log")"
server=
checks=$((checks + 1))
[ "$(cat "$work/out")" = "$greedy" ] || fault "two machines: '$(cat "$work/out")', not '$greedy'"

# A server on the GPU, an edge that drafts on its processor: the text of plain decoding on the GPU.
url=ipc://$work/socket
"$serverd" --model "$target" --backend cuda --listen "$url" --stat '' --max-rows 32 --max-nodes 16 \
    --max-sessions 2 2>"$work/log" </dev/null &
server=$!
left=3000
until grep -q 'listening on' "$work/log"; do
    left=$((left - 1))
    if [ $left -eq 0 ] || ! kill -0 "$server" 2>/dev/null; then
        fault "no server: $(cat "$work/log")"
        break
    fi
    sleep 0.02
done
for how in '-T 0' '-T 0.8 -s 3'; do
    # shellcheck disable=SC2086  # two options
    runs_well generate "$target" --backend cuda -p "$prompt" -n 16 --ids-out $how
    wanted=$(cat "$work/out")
    # shellcheck disable=SC2086
    "$run" --server "$url" --draft "$draft" --backend cpu --tokenizer "$target" -p "$prompt" -n 16 \
        --max-budget 8 --max-beam-len 4 --ids-out $how >"$work/out" 2>"$work/err" </dev/null ||
        fault "se-run $how: $(cat "$work/err")"
    checks=$((checks + 1))
    [ "$(cat "$work/out")" = "$wanted" ] || fault "se-run $how: '$(cat "$work/out")', not '$wanted'"
done
kill -TERM "$server"
wait "$server" || fault "the server left with $?: $(cat "$work/log")"
server=

printf '%d checks, %d faults\n' "$checks" "$faults"
[ "$faults" = 0 ]
