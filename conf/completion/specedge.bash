# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion for the programs of SpecEdge. What there is to choose from is what the program's own
# --help says, so that it is never another version's.

# _specedge_help PROGRAM [VERB]: its --help, once for each key that is pressed.
_specedge_help() { "$@" --help 2>/dev/null </dev/null; }

# _specedge_offer HOW WHAT: what of it begins with the word.
_specedge_offer() { mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$@" -- "$word"); }

# _specedge_value WORDS: what may stand for what --help calls so, as in "URL|DIR" or "auto|cpu|cuda[:N]".
_specedge_value() {
    local part parts choices=()
    IFS='|' read -r -a parts <<<"${1//\[*\]/}"
    for part in "${parts[@]}"; do
        case $part in
        DIR | OUT) _specedge_offer -d ;;
        FILE) _specedge_offer -f ;;
        [a-z]*) choices+=("$part") ;;
        esac
    done
    case $1 in
    *DIR* | *OUT* | *FILE*) compopt -o filenames 2>/dev/null || true ;; # quoted, a slash behind folders
    *) _specedge_offer -W "${choices[*]}" ;;
    esac
}

_specedge() {
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before='' verb='' at=1 help verbs
    local value words=()
    COMPREPLY=()
    program=${program/#\~/$HOME}
    help=$(_specedge_help "$program") || return 0

    # The verb, or one of the verbs is wanted.
    if grep -q '^Verbs:$' <<<"$help"; then
        verbs=$(sed -n '/^Verbs:$/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' <<<"$help")
        if [ "$COMP_CWORD" -eq 1 ]; then
            _specedge_offer -W "$verbs --help --version"
            return 0
        fi
        verb=${COMP_WORDS[1]}
        help=$(_specedge_help "$program" "$verb") || return 0
        at=2
    fi

    # The option before, whose value this is: "--name value", "--name=value".
    if [ "$COMP_CWORD" -gt "$at" ]; then before=${COMP_WORDS[COMP_CWORD - 1]}; fi
    if [ "$word" = = ]; then
        word=''
    elif [ "$before" = = ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    # "  -m, --model DIR  (default ...)"
    value=$(sed -n 's/^  \(-.,\|   \) \(--[a-z0-9-]*\) \{0,1\}\([^ ]*\).*/\1 \2 \3/p' <<<"$help" |
        awk -v option="$before" '$1 == option || $1 == option "," || $2 == option { print $NF; exit }')
    case $before:$value in
    -*:[!-]*)
        _specedge_value "$value"
        return 0
        ;;
    esac

    if [[ $word == -* ]]; then
        _specedge_offer -W "$(sed -n 's/^  \(-.,\|   \) \(--[a-z0-9-]*\).*/\2/p' <<<"$help")"
        return 0
    fi
    # "Usage: se-model perplexity DIR FILE [OPTION...]": the arguments come first.
    read -r -a words < <(sed -n "s/^Usage: [^ ]* $verb *\\(.*\\) *\\[OPTION.*/\\1/p" <<<"$help")
    if [ $((COMP_CWORD - at)) -lt "${#words[@]}" ]; then
        _specedge_value "${words[COMP_CWORD - at]}"
    fi
}

complete -F _specedge se-serverd se-run se-top se-bench se-model se-rank se-key
