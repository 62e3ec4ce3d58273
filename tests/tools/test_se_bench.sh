#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-bench at the command line: what it prints, how it ends, what it says when it cannot.
#
#   test_se_bench.sh SE_BENCH ROOT SCHED LINKS [SE_SERVERD]
#
# SCHED: yes or no, whether there is a scheduler to measure; LINKS: "loop shm tcp ipc", those built;
# SE_SERVERD: the server, where there is a scheduler.
set -u
export LC_ALL=C

program=$1
root=$2
sched=$3
links=$4
serverd=${5-}
corpus=$root/tests/transport/corpus/fuzz_wire
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"

usage() {
    shows '^se-bench [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows '^  wire ' --help
    shows '^Usage: se-bench wire ' wire --help
    told_by_manual "$root/docs/man/se-bench.1" wire
    refuses 2 'which verb.*wire'
    refuses 2 'no verb "wires".*wire' wires
    refuses 2 'no option "--json" before the verb' --json
    refuses 2 'one word too many' wire 32
    refuses 2 'no such option; did you mean --nodes' wire --node 32
    refuses 2 'nodes.*out of range' wire --nodes 1024
    refuses 2 'vocab.*out of range' wire --vocab 0
    refuses 2 'repeat.*out of range' wire --repeat 0
    refuses 2 'value is missing' wire --dump
    if [ -w /dev/full ]; then
        "$program" wire --repeat 1 >/dev/full 2>"$work/err" && fault 'a full disk is no error'
        grep -q 'standard output' "$work/err" || fault "full disk: $(cat "$work/err")"
    fi
}

step() {
    draft=$root/models/tales-draft
    shows '^  step +DIR ' --help
    shows 'of floor' step "$draft" --rows 1,9t --context 20 --repeat 2 --warm-up 0
    shows '^  9 rows, tree +2 ' step "$draft" --rows 1,9t --context 20 --repeat 2 --warm-up 0
    refuses 2 'no list like' step "$draft" --rows x
    "$program" step "$draft" --rows 1,9t --context 20 --repeat 2 --json >"$work/step" ||
        fault 'step --json'
    shows 'x [0-9.]+$' step "$draft" --rows 1,9t --context 20 --repeat 2 --compare "$work/step"
    breaks_off 1 'limit rows_9_tree:max>1ns: ' step "$draft" --rows 1,9t --context 20 --repeat 2 \
        --fail-if 'rows_9_tree:max>1ns'
}

link_usage() {
    shows '^  link +URL ' --help
    shows '^Usage: se-bench link URL ' link --help
    told_by_manual "$root/docs/man/se-bench.1" link
    refuses 2 'URL is missing' link
    refuses 2 "link: 'pigeon' is none of" link pigeon
    refuses 1 'pigeon' link pigeon://here
    refuses 2 'size.*out of range' link loop --size 65537
    refuses 2 "gap: '1' has no unit" link loop --gap 1
    refuses 2 'not up to 4 times' link loop --gap 1ms,2ms,3ms,4ms,5ms
    refuses 2 'pin: one processor for each end' link shm --pin 0
    refuses 1 'cannot run on processor 1023' link shm --pin 1023,1023
    refuses 2 'the one end, and connect the other' link shm --serve --connect
    refuses 2 "'p98>1us' is not like p99>20us" link shm --fail-if 'p98>1us'
    refuses 2 "'1' has no unit" link shm --fail-if 'p99>1'
    refuses 2 "no figure 'x': there are connect, first" link shm --fail-if 'x:p99>1us'
    refuses 2 'needs an earlier run' link shm --fail-if 'ratio>1'
    refuses 1 'none: No such file' link shm --compare "$work/none"
    echo '{"back_to_back_us": 1}' >"$work/other"
    refuses 1 "none of this verb's figures" link shm --compare "$work/other"
    refuses 1 'not what --json prints' link shm --compare "$0"
}

# How long it takes is told, not judged.
link_figures() {
    cat >"$work/check.py" <<'PY'
import json, sys
b = json.load(sys.stdin)
link, floors, size, compared = sys.argv[1], sys.argv[2].split(), int(sys.argv[3]), sys.argv[4:]
assert b["url"].startswith(link + "://") and b["bytes"] == size and b["way"] == "round trip", b
keys = ["connect"]
for way in [""] + [floor + "_" for floor in floors]:
    for key, n in ("first", 1), ("back_to_back", 50), ("gap_1ms", 3), ("gap_100us", 3):
        t = b[way + key + "_us"]
        assert t["n"] == n and 0 < t["p50"] <= t["p99"] <= t["p999"] <= t["max"], (way + key, b)
        keys.append(way + key)
assert all(b["over_" + floor] > 0 for floor in floors), b
assert [key for key in b if key.endswith("_us")] == [key + "_us" for key in keys], b
assert compared == [] or sorted(b["ratio"]) == sorted(keys), b
PY
    set -- --rounds 50 --warm-up 20 --gap 1ms,100us --gap-rounds 3
    for link in $links; do
        case $link in
        loop | shm) floors='memory unix' ;;
        ipc) floors=unix ;;
        *) floors=tcp ;;
        esac
        for size in 1 132 65536; do
            runs_well link "$link" --size "$size" "$@" --json
            python3 "$work/check.py" "$link" "$floors" "$size" <"$work/out" ||
                fault "link $link, $size bytes: $(cat "$work/out")"
        done
    done
    runs_well link shm "$@" --spin --json
    python3 "$work/check.py" shm memory 132 <"$work/out" || fault "spin: $(cat "$work/out")"
    mv "$work/out" "$work/earlier"
    runs_well link shm "$@" --spin --json --compare "$work/earlier" --fail-if 'first:ratio>1e9'
    python3 "$work/check.py" shm memory 132 compared <"$work/out" ||
        fault "compared: $(cat "$work/out")"
    shows '^  back to back .* x [0-9.]+$' link shm "$@" --compare "$work/earlier"
    shows '^round trips over shm:' link shm "$@" --no-floor
    grep -q floor "$work/out" && fault 'a floor that nobody wanted'
    breaks_off 1 'above the limit p99>1ns: back_to_back is [0-9.]+ us' \
        link shm "$@" --fail-if 'max>1h,p95>1h,p99>1ns'
    breaks_off 1 'first:max>1ns: first is' link shm "$@" --fail-if 'first:max>1ns'
}

# Both ends by themselves, as on two machines.
link_ends() {
    : >"$work/served"
    "$program" link "shm://$work/ends" --serve >"$work/served" &
    server=$!
    while ! grep -q '^sends back what comes to shm:' "$work/served"; do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.01
    done
    for _ in 1 2; do
        shows 'the other end is elsewhere' link "shm://$work/ends" --connect --rounds 20 --gap 1ms \
            --gap-rounds 2
    done
    kill -INT "$server"
    wait "$server"
    [ $? = 130 ] || fault 'the other end does not end with 130'
}

# What the format promises: 32 drafted nodes at the vocabulary of Qwen3 in 128 bytes, the answer
# in 40. How long it takes is told, not judged.
sizes() {
    shows 'VERIFY 120 bytes, RESULT 40 bytes' wire --repeat 10
    cat >"$work/check.py" <<'PY'
import json, sys
b = json.load(sys.stdin)
assert b["nodes"] == int(sys.argv[1]) and b["samples"] == 20, b
assert b["verify_bytes"] == int(sys.argv[2]) and b["result_bytes"] == 40, b
for path in "verify_encode", "verify_decode", "result_encode", "result_decode", "arrange":
    t = b[path]
    assert 0 < t["p50"] <= t["p99"] <= t["p999"] <= t["max"], b
assert b["encode_ns"] == b["verify_encode"]["p50"], b
assert b["decode_ns"] == b["verify_decode"]["p50"], b
PY
    for size in '0 151936 40' '1 2 39' '32 151936 120' '32 128256 116' '32 2048 91' \
        '64 151936 200' '1023 151936 2597'; do
        # shellcheck disable=SC2086  # three words
        set -- $size
        run wire --nodes "$1" --vocab "$2" --repeat 20 --json
        checks=$((checks + 1))
        python3 "$work/check.py" "$1" "$3" <"$work/out" || fault "wire $size: $(cat "$work/out")"
    done
}

# judged KEY ARGUMENT...: an earlier run, a limit that holds, one that does not, in text and JSON
judged() {
    key=$1
    shift
    runs_well "$@" --json
    mv "$work/out" "$work/earlier"
    shows ' x [0-9.]+$' "$@" --compare "$work/earlier" --fail-if "$key:max>1h"
    shows "\"ratio\": .*\"$key\": [0-9.]+" "$@" --compare "$work/earlier" --json
    python3 -m json.tool "$work/out" >"$work/pretty" || fault "$*: this is no JSON"
    breaks_off 1 "limit $key:p50>0: $key is" "$@" --fail-if "$key:p50>0"
    breaks_off 1 'above the limit max>1ns: ' "$@" --fail-if 'max>1ns'
}

frames() {
    judged verify_decode wire --repeat 20
    for type in hello welcome prefill verify result cancel bye ping stats error resume; do
        name=$(printf '%s' "$type" | tr '[:lower:]' '[:upper:]')
        shows "^$name, [0-9]+ bytes, version 2, session [0-9a-f]{16}\$" wire --dump "$corpus/$type"
        mv "$work/out" "$work/raw"
        # The same in hexadecimal, on the command line and in a file.
        hex=$(od -An -v -tx1 "$corpus/$type")
        shows "^$name" wire --dump "$hex"
        cmp -s "$work/raw" "$work/out" || fault "$type: hexadecimal and file differ"
        echo "$hex" >"$work/hex"
        shows "^$name" wire --dump "$work/hex"
        cmp -s "$work/raw" "$work/out" || fault "$type: file of hexadecimal and file differ"
    done
    shows '^  text +ids are missing$' wire --dump "$corpus/error"
    shows '^  5 +2  65536$' wire --dump "$corpus/verify"
    shows '^  ids +151643 17 151935 0 1 65536$' wire --dump "$corpus/prefill"
    shows '^  temp +0.75$' wire --dump "$corpus/hello"
    refuses 1 'cut short' wire --dump "$corpus/short"
    refuses 1 'VERIFY: bits that are no tree' wire --dump "$corpus/shape"
    refuses 1 'cut short' wire --dump 5345
    refuses 1 'not a frame of this protocol' wire --dump 00000000000000000000000000000000
    refuses 1 'neither a frame in hexadecimal nor a file' wire --dump "$work/none"
    head -c 100000 /dev/zero >"$work/large"
    refuses 1 'more than any frame' wire --dump "$work/large"
}

sched_usage() {
    shows '^  sched ' --help
    shows '^Usage: se-bench sched ' sched --help
    told_by_manual "$root/docs/man/se-bench.1" sched
    refuses 2 'one word too many' sched 32
    refuses 2 'no such option; did you mean --nodes' sched --node 32
    refuses 2 'nodes.*out of range' sched --nodes 1024
    refuses 2 'sessions.*out of range' sched --sessions 0
    refuses 2 'rounds.*out of range' sched --rounds 0
    refuses 2 'steps.*not a whole number' sched --steps many
    refuses 2 'step.*' sched --step 20
    refuses 2 "link: 'pigeon' is none of loop, shm, tcp and ipc" sched --link pigeon
    refuses 1 'pigeon' sched --link pigeon://here
    shows '^Usage: se-bench crowd ' crowd --help
    told_by_manual "$root/docs/man/se-bench.1" crowd
    refuses 2 'idle.*out of range' crowd --idle 0
    refuses 2 'active.*out of range' crowd --active 0
    refuses 2 'seconds.*out of range' crowd --seconds 0
    refuses 2 'text.*out of range' crowd --text 1025
    refuses 2 'link: .*a loop stays in one' crowd --link loop
}

# How long things take is told, not judged; that all of it is there, and in order.
sched_figures() {
    cat >"$work/check.py" <<'PY'
import json, sys
b = json.load(sys.stdin)
sessions, nodes, rounds, steps = map(int, sys.argv[1:5])
assert b["sessions"] == sessions and b["nodes"] == nodes and b["link"] == sys.argv[5], b
assert b["accepted"] == (5 if nodes >= 32 else b["accepted"]) and b["spin"] is False, b
assert 0 < b["rounds_per_step"] <= sessions and b["step_ms"] == 2, b
assert b["code_percent"] > 0 and b["thread_percent"] > 0, b
for path, n in (("code_server", rounds), ("code_step", rounds), ("code_in", rounds),
                ("code_out", rounds), ("thread_server", steps), ("thread_engine", steps),
                ("in", rounds), ("out", rounds), ("trip", rounds)):
    t = b[path + "_us"]
    assert t["n"] == n, (path, b)
    assert 0 < t["p50"] <= t["p95"] <= t["p99"] <= t["p999"] <= t["max"], (path, b)
assert b["trip_us"]["p50"] >= b["in_us"]["p50"], b
PY
    for link in $links; do
        for size in '1 0 20 3' '64 32 20 3' '3 64 20 3' '100 7 5 2'; do
            # shellcheck disable=SC2086  # four words
            set -- $size
            runs_well sched --sessions "$1" --nodes "$2" --rounds "$3" --steps "$4" --step 2ms \
                --link "$link" --json
            # shellcheck disable=SC2086
            python3 "$work/check.py" $size "$link" <"$work/out" ||
                fault "sched $size over $link: $(cat "$work/out")"
        done
    done
    shows 'code alone, one thread' sched --rounds 5 --steps 2 --step 1ms
    shows 'engine on its thread, both spin' sched --rounds 5 --steps 2 --step 1ms --spin
    judged trip sched --sessions 2 --rounds 5 --steps 2 --step 1ms
    # A text that comes to its end begins anew.
    runs_well sched --sessions 2 --rounds 2000 --steps 1 --step 1ms --json
}

ring_figures() {
    shows '^Usage: se-bench ring ' ring --help
    told_by_manual "$root/docs/man/se-bench.1" ring
    refuses 2 'pin: one processor for each thread' ring --pin 1
    refuses 1 'cannot run on processor 1023' ring --pin 1023,1023
    shows '^back to back rings take [0-9.]+ times' ring --rounds 100
    judged memory_back_to_back ring --rounds 100 --warm-up 10
}

round_usage() {
    shows '^  round +URL ' --help
    shows '^Usage: se-bench round URL ' round --help
    told_by_manual "$root/docs/man/se-bench.1" round
    refuses 2 'URL is missing' round
    refuses 2 'nodes.*out of range' round shm:///x --nodes 1024
    refuses 1 "'shm' is no URL" round shm
    refuses 1 'pigeon' round pigeon://here
    refuses 1 'there is no server for 5 s' round "ipc://$work/nobody"
}

# Against a real server, whose tokenizer is not known; texts that come to their end begin anew.
round_figures() {
    cat >"$work/check.py" <<'PY'
import json, sys
b = json.load(sys.stdin)
nodes, text, rounds = map(int, sys.argv[1:])
assert b["nodes"] == nodes and b["text"] == text and 1 <= b["accepted"] <= nodes + 1, b
assert b["verify_bytes"] > 30 and b["way"] == "round trip", b
for key, n in ("welcome", 1), ("first", 1), ("trip", rounds), ("step", rounds), ("way", rounds):
    t = b[key + "_us"]
    assert t["n"] == n and 0 < t["p50"] <= t["p99"] <= t["p999"] <= t["max"], (key, b)
assert b["trip_us"]["p50"] > b["step_us"]["p50"] and b["queue_us"]["n"] == rounds, b
PY
    for size in '32 64 20' '0 0 5' '127 300 5' '2 500 30'; do
        # shellcheck disable=SC2086  # three words
        set -- $size
        runs_well round "$url" --nodes "$1" --text "$2" --rounds "$3" --json
        python3 "$work/check.py" "$1" "$2" "$3" <"$work/out" || fault "round $size: $(cat "$work/out")"
    done
    judged way round "$url" --rounds 5 --spin 1ms
    refuses 1 'takes trees of 127 drafted nodes, not of 128' round "$url" --nodes 128
    refuses 1 "the server's texts end at 512 ids" round "$url" --text 500 --nodes 20
}

serve_usage() {
    shows '^  serve +URL[|]DIR ' --help
    shows '^Usage: se-bench serve URL[|]DIR ' serve --help
    told_by_manual "$root/docs/man/se-bench.1" serve
    refuses 2 'URL.DIR is missing' serve
    refuses 2 'acceptance.*out of range' serve shm:///x --acceptance 1.5
    refuses 2 "of: 'pace'" serve shm:///x --of pace
    refuses 2 "limit: '9' has no unit" serve shm:///x --limit 9
    refuses 2 'from: 9 edges are more than --most 3' serve shm:///x --from 9 --most 3
    refuses 2 'think: answers come by themselves with --rate' serve shm:///x --think 1s --rate 2
    refuses 2 'link: .*a loop stays in one' serve "$root/models/tales-draft" --link loop
    refuses 1 'pigeon' serve pigeon://here
    refuses 1 'none/config.json: No such file' serve "$work/none" --link shm
}

# Whether it bears few or many depends on who else is at work here; that the search ends, that all
# of an answer is right, and who is named when it is plain to see.
serve_figures() {
    cat >"$work/check.py" <<'PY'
import json, sys
b = json.load(sys.stdin)
edges, capacity, bound = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
assert [stage["edges"] for stage in b["stages"]] == edges, b
assert b["capacity"] == capacity and b["bound"] == bound, b
assert (b["draft_ms"], b["trip_ms"], b["nodes"], b["depth"]) == (1, 2, 8, 4), b
for stage in b["stages"]:
    if stage["bound"] == "sessions":
        assert stage["round_ms"]["n"] == 0, b
        continue
    t = stage["round_ms"]
    assert 0 < t["p50"] <= t["p95"] <= t["p99"] <= t["max"] and stage["queue_ms"]["n"] == t["n"], b
    assert stage["first_ms"]["p50"] > 3 and stage["token_ms"]["n"] == stage["answers"] > 0, b
    assert 1 < stage["tokens_per_s"] / stage["rounds_per_s"] <= 5, b
    assert 0 < stage["engine_share"] <= 1.01 and stage["rows_per_step"] >= 1, b
    assert ("server_share" in stage) == b["url"].endswith(".shm"), b
best = [s for s in b["stages"] if s["edges"] == capacity] or b["stages"]
assert b["round_ms"] == best[0]["round_ms"] and b["late_ms"] == best[0]["late_ms"], b
PY
    set -- --nodes 8 --depth 4 --draft 1ms --trip 2ms --tokens 10 --texts 2 --warm-up 100ms \
        --seconds 1
    runs_well serve "$url" "$@" --limit 1m --most 3 --json
    python3 "$work/check.py" '[1, 2, 3]' 3 none <"$work/out" || fault "serve: $(cat "$work/out")"
    mv "$work/out" "$work/earlier"
    shows '^capacity: at least 2 edges' serve "$url" "$@" --limit 1m --from 2 --most 2 --rate 9 \
        --temp 0.8 --compare "$work/earlier" --fail-if 'token:ratio>1e9'
    shows '^capacity: none: p95 of the time per token' serve "$url" "$@" --limit 1us --of token \
        --again 1
    [ "$(grep -c '^ *1 .* above$' "$work/out")" = 2 ] || fault "again: $(cat "$work/out")"
    # Answers come faster than they are written: they wait for each other, and nobody here is late.
    runs_well serve "$url" "$@" --limit 1m --of first --most 1 --rate 1000 --json
    python3 -c 'import json, sys; b = json.load(sys.stdin); assert b["of"] == "first", b
assert b["first_ms"]["max"] > 300 and b["late_ms"]["p50"] < 100, b' <"$work/out" ||
        fault "rate: $(cat "$work/out")"
    breaks_off 1 'capacity is 0 edges, less than --least 1' serve "$url" "$@" --limit 1us --least 1
    refuses 1 "the server's texts end at 512 ids" serve "$url" --tokens 500
    refuses 1 'takes trees of 127 drafted nodes, not of 128' serve "$url" --nodes 128
    # A server of its own, which is full; nothing of it is left.
    runs_well serve "$root/models/tales-draft" "$@" --limit 1m --link shm --max-sessions 3 --json
    python3 "$work/check.py" '[1, 2, 4, 3]' 3 sessions <"$work/out" ||
        fault "full: $(cat "$work/out")"
    socket=$(sed -n 's/.*"url": "shm:..\([^"]*\)".*/\1/p' "$work/out")
    { [ -n "$socket" ] && [ ! -e "$socket" ]; } || fault "the socket '$socket' is left"
}

with_server() {
    : >"$work/log"
    "$serverd" -m "$root/models/tales-draft" --listen "shm://$work/server" 2>"$work/log" &
    server=$!
    until grep -q ': listening on ' "$work/log"; do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    url=shm://$work/server
    round_figures
    serve_figures
    kill -TERM "$server"
    wait "$server"
    grep -q 'warn' "$work/log" && fault "the server complains: $(cat "$work/log")"
}

# Links that are built, in the order of the page.
in_order() {
    for link in loop shm ipc tcp; do
        case " $links " in *" $link "*) printf 'link_%s ' "$link" ;; esac
    done
}

# The page has what was measured, and the drawings are XML.
all_figures() {
    shows '^Usage: se-bench all ' all --help
    told_by_manual "$root/docs/man/se-bench.1" all
    refuses 2 'one word too many' all page
    refuses 1 "$work/none/page: No such file" all --quick --out "$work/none/page"
    cat >"$work/check.py" <<'PY'
import os, re, sys
import xml.etree.ElementTree as tree
folder, sections, drawings = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
page = open(os.path.join(folder, "latency.md")).read()
commands = re.findall(r"^    se-bench (\S+ ?\S*)", page, re.M)
assert [c.replace(" --", "#").split("#")[0].replace(" ", "_") for c in commands] == sections, page
assert re.findall(r"\]\((.*)\)", page) == drawings and "failed" not in page, page
assert sorted(os.listdir(folder)) == sorted(drawings + ["latency.md"]), folder
assert len(re.findall(r"^\| `back_to_back` \|", page, re.M)) == len(sections) - \
    sum(not s.startswith(("link", "ring")) for s in sections), page
for drawing in drawings:
    root = tree.parse(os.path.join(folder, drawing)).getroot()
    assert root.tag.endswith("svg"), drawing
    assert not any("nan" in v or "inf" in v for e in root.iter() for v in e.attrib.values()), drawing
PY
    shows "^$work/page/latency.md\$" all --quick --out "$work/page"
    python3 "$work/check.py" "$work/page" "$(in_order)ring wire sched" links.svg ||
        fault "all: $(cat "$work/page/latency.md")"
    shows 'Load, 50 ms away +[0-9.]+ s' all --quick --out "$work/page" \
        --model "$root/models/tales-draft"
    python3 "$work/check.py" "$work/page" \
        "$(in_order)ring wire sched step_MODEL round_URL serve_URL serve_URL serve_URL" \
        'links.svg serve.svg' || fault "all: $(cat "$work/page/latency.md")"
}

crowd_figures() {
    cat >"$work/check.py" <<'PY'
import json, sys
b = json.load(sys.stdin)
assert b["idle"] == 40 and b["active"] == 4 and b["seconds"] == 1 and b["text"] == 100, b
assert b["link"] == sys.argv[1] and 0 < b["struct_bytes"] < 1024, b
assert b["shared"]["connections"] == 4 and b["own"]["connections"] == 40, b
for way in b["shared"], b["own"]:
    assert way["fds_after"] - way["fds_before"] == way["connections"], b
    assert way["held_bytes"] >= b["struct_bytes"] and 400 < way["text_bytes"] <= 1024, b
    assert isinstance(way["resident_bytes"], float), b
    for trip in way["alone_us"], way["beside_us"]:
        assert trip["n"] > 0 and 0 < trip["p50"] <= trip["p99"] <= trip["p999"] <= trip["max"], b
PY
    for link in $links; do
        case $link in loop | ipc) continue ;; esac # ipc is tcp but for the name
        runs_well crowd --idle 40 --active 4 --shared 10 --seconds 1 --every 5ms --text 100 \
            --link "$link" --json
        python3 "$work/check.py" "$link" <"$work/out" || fault "crowd over $link: $(cat "$work/out")"
    done
    mv "$work/out" "$work/earlier"
    breaks_off 1 'limit shared.beside:ratio>0: shared.beside is [0-9.]+ x the earlier median' \
        crowd --idle 3 --active 2 --seconds 1 --link shm --compare "$work/earlier" \
        --fail-if 'own.alone:max>1h,shared.beside:ratio>0'
    grep -q 'each idle session has its own: 3 connections' "$work/out" ||
        fault "crowd: $(cat "$work/out")"
    (
        faults=0
        # shellcheck disable=SC3045  # dash and bash know it
        ulimit -n 200
        refuses 1 'open files.*hard limit is 200' crowd --idle 1000 --seconds 1 --link shm
        [ "$faults" = 0 ]
    ) || fault 'too few open files are not told'
}

try_the_checks
usage
step
link_usage
link_figures
link_ends
sizes
frames
if [ "$sched" = yes ]; then
    sched_usage
    ring_figures
    round_usage
    serve_usage
    [ -z "$serverd" ] || with_server
    sched_figures
    crowd_figures
    # With sanitizers not: it runs once more what ran above.
    [ -n "${ASAN_OPTIONS:-}" ] || all_figures
else
    refuses 1 'built without the scheduler' ring
    refuses 1 'built without the scheduler' round shm:///x
    refuses 1 'built without the scheduler' serve shm:///x
    refuses 1 'built without the scheduler' all
    refuses 1 'built without the scheduler' sched
    refuses 1 'built without the scheduler' crowd
fi
conclude
