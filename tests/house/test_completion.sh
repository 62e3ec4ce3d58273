#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What bash offers behind the programs, pressed by nobody.
#
#   test_completion.sh FOLDER_OF_PROGRAMS ROOT
set -euo pipefail

tools=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=conf/completion/specedge.bash
. "$2/conf/completion/specedge.bash"
mkdir -p "$work/a folder/model" "$work/model-b"
touch "$work/model.yaml" "$work/a file"
cd "$work"

checks=0
# offers WANTED WORD...: for the last of the words, split as bash splits them. The wanted ones are
# among what is offered, in any order; with a "!" before, nothing else is; "-" is nothing at all.
offers() {
    local wanted=$1 given
    shift
    COMP_WORDS=("$tools/$1" "${@:2}")
    COMP_CWORD=$(($# - 1))
    _specedge
    given=" ${COMPREPLY[*]} "
    checks=$((checks + 1))
    case $wanted in
    -) [ "${#COMPREPLY[@]}" = 0 ] && return 0 ;;
    '!'*) [ "$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' ')" = "${wanted#!}" ] && return 0 ;;
    *) [[ $given == *" $wanted "* ]] && return 0 ;;
    esac
    printf 'failed: %s: not "%s" but "%s"\n' "$*" "$wanted" "${COMPREPLY[*]}"
    exit 1
}

offers '!--model' se-serverd --mod
offers --help se-serverd -
offers '!dynamic pipeline static' se-serverd --policy ''
offers '!pipeline' se-serverd --policy pi
offers '!pipeline' se-serverd --policy = pi
offers '!dynamic pipeline static' se-serverd --policy =
offers '!auto cpu cuda' se-serverd --backend ''
offers '!bf16' se-run -w b
offers '!model-b' se-serverd -m mod
offers '!a folder model-b' se-serverd --model ''
offers '!a file a folder model-b model.yaml' se-serverd -c ''
offers - se-serverd --threads ''
offers - se-serverd ''
offers '!--speculate' se-run --quiet --spe
offers '!--print-conf' se-run --local --pri
offers '!generate' se-model g
offers --version se-model ''
offers '!model-b' se-model generate mod
offers '!a folder/model' se-model perplexity 'a folder/m'
offers '!model-b model.yaml' se-model perplexity model-b mod
offers '!--temp --template' se-model generate model-b --tem
offers - se-model nothing --
offers '!model-b' se-bench serve mod
offers '!ipc shm tcp' se-bench serve model-b --link ''
offers - se-absent --
echo "$checks checks"
