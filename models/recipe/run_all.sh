#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole recipe.  run_all.sh MIRROR OUT   (about 80 minutes on two AVX-512 hardware threads)
#   MIRROR  folder of bare git snapshots: MIRROR/<owner>+<name>/repo, as listed in sources.tsv
#   OUT     gets data/, tok/, tales-target/, tales-draft/, golden.json, acceptance.json
# Debian 12: apt install python3-torch python3-numpy python3-regex libopenblas0-openmp git
# The steps stand in the order in which the bundled pair was made. Training follows the clock, so another
# run gives other weights. (Doing the 512-token round of the target before any work on the draft would be
# tidier: the draft would then learn from the final target throughout.)
set -eu
mirror=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd) py=/usr/bin/python3
export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
train() { $py "$here/3_train.py" "$@" --data "$out/data" --tok "$out/tok"; }
$py "$here/1_corpus.py" --mirror "$mirror" --sources "$here/sources.tsv" --out "$out/data"
$py "$here/2_tokenizer.py" --data "$out/data" --out "$out/tok"
# target on the corpus, 256 tokens at a time; draft distilled from it
train target --out "$out/target-1" --minutes 43
train draft --out "$out/draft-1" --minutes 13.5 --teacher "$out/target-1" --lr 3e-3
# the target writes; the draft goes on with half corpus, half that text
$py "$here/4_generate.py" --model "$out/target-1" --data "$out/data" --out "$out/data/extra.bin" --minutes 3
train draft --out "$out/draft-2" --minutes 8 --teacher "$out/target-1" --init "$out/draft-1" \
    --extra "$out/data/extra.bin" --lr 1e-3 --ce 0
# both at 512 tokens, the context they are meant for
train target --out "$out/tales-target" --minutes 4.2 --init "$out/target-1" --len 512 --batch 8 --lr 3e-4 --seed 1
train draft --out "$out/tales-draft" --minutes 2.6 --teacher "$out/tales-target" --init "$out/draft-2" \
    --extra "$out/data/extra.bin" --len 512 --batch 8 --lr 6e-4 --ce 0 --seed 2
$py "$here/5_measure.py" --target "$out/tales-target" --draft "$out/tales-draft" --data "$out/data" \
    --out "$out/acceptance.json" --golden "$out/golden.json"
$py "$here/6_check.py" "$out"
