/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_options.h"

#include <string.h>

#include "runtime/base/err.h"
#include "runtime/text/chat.h"
#include "tools/outcome.h"
#include "tools/pass.h"
#include "tools/rig.h"

static const char ngram[] = "ngram";

#define AT(member) offsetof(struct se_run_options, member)

/* A limit of a draft tree. */
#define LIMIT(name, member, initial, min, max, help) \
    { \
        (name), 0, SE_CONF_UINT, AT(member), (initial), (min), (max), "N", (help) \
    }

const struct se_conf_row se_run_rows[] = {
    { SE_CONF_FILE_ROW, 'c', SE_CONF_TEXT, AT(config), NULL, 0, 0, "FILE",
      "configuration file, YAML with the names of these options; FILE.d/*.yaml come behind it, the "
      "command line rules over all" },
    { "print-conf", 0, SE_CONF_FLAG, AT(print_conf), NULL, 0, 0, NULL,
      "write a file with every setting at its default, and leave", SE_CONF_ARGS_ONLY },

    { "server", 0, SE_CONF_TEXT, AT(server), NULL, 0, 0, "URL",
      "where the server is: tcp://HOST:PORT, ipc:///PATH, shm:///PATH, rdma://HOST:PORT" },
    SE_PASS_ROWS(struct se_run_options, key, server_key),
    { "local", 0, SE_CONF_FLAG, AT(local), NULL, 0, 0, NULL,
      "no server: the target runs in this process (--model)" },
    { "model", 'm', SE_CONF_TEXT, AT(model), NULL, 0, 0, "DIR",
      "folder of the target, with --local; otherwise its tokenizer alone is used" },
    { "target-threads", 0, SE_CONF_UINT, AT(target.threads), "0", 0, 1024, "N",
      "threads of the target, with --local; 0: one for every processor it may run on" },
    SE_RIG_WEIGHTS_ROW("target-weights", 0, struct se_run_options, target),
    { "target-preload", 0, SE_CONF_FLAG, AT(target.preload), NULL, 0, 0, NULL,
      "--preload for the target, with --local" },
    { "tp", 0, SE_CONF_UINT, AT(target.tp), "1", 1, 64, "N",
      "processes that share the target, with --local: each has a part of the weights, and the "
      "threads of --target-threads; 0 there: its share of the processors" },
    SE_RIG_NODES_ROWS(struct se_run_options, target),
    { "tokenizer", 0, SE_CONF_TEXT, AT(tokenizer), NULL, 0, 0, "DIR",
      "folder with the target's tokenizer; without it that of --model or --draft" },
    { "context", 0, SE_CONF_UINT, AT(context), "0", 0, 2147483647.0, "N",
      "tokens that a text may come to, prompt included; 0: what the server allows" },

    { "prompt", 'p', SE_CONF_TEXT, AT(prompt.text), NULL, 0, 0, "TEXT", "what to go on from",
      SE_CONF_ARGS_ONLY },
    { "file", 'f', SE_CONF_TEXT, AT(file), NULL, 0, 0, "FILE",
      "the same from a file; -: standard input", SE_CONF_ARGS_ONLY },
    { "ids", 0, SE_CONF_TEXT, AT(prompt.ids), NULL, 0, 0, "IDS",
      "the same as token ids, \"1 2 3\"; nothing is added to them", SE_CONF_ARGS_ONLY },
    { "interactive", 'i', SE_CONF_FLAG, AT(interactive), NULL, 0, 0, NULL,
      "a chat, line by line, also where standard input is no terminal", SE_CONF_ARGS_ONLY },
    { "chat", 0, SE_CONF_FLAG, AT(prompt.chat), NULL, 0, 0, NULL,
      "a prompt is what a user says; the model answers" },
    SE_PROMPT_SYSTEM_ROW(struct se_run_options, prompt),
    SE_PROMPT_TEMPLATE_ROW(struct se_run_options, prompt),
    { "dataset", 0, SE_CONF_TEXT, AT(dataset), NULL, 0, 0, "FILE",
      "prompts, a JSON object a line: \"turns\", of which the first is taken, or \"prompt\"" },
    { "offset", 0, SE_CONF_UINT, AT(offset), "0", 0, 4294967295.0, "N",
      "number of the dataset's first prompt, from 0" },
    { "stride", 0, SE_CONF_UINT, AT(stride), "1", 1, 4294967295.0, "N",
      "take every N-th prompt of the dataset" },
    { "max-requests", 0, SE_CONF_UINT, AT(max_requests), "0", 0, 4294967295.0, "N",
      "prompts of the dataset, at most; 0: all" },

    { "tokens", 'n', SE_CONF_UINT, AT(n), "128", 0, 4294967295.0, "N",
      "new tokens of an answer, at most" },
    SE_SAMPLING_OPTION_ROWS(struct se_run_options, sampling),
    { "ignore-eos", 0, SE_CONF_FLAG, AT(ignore_eos), NULL, 0, 0, NULL,
      "go on behind a token that ends the text" },

    { "ids-out", 0, SE_CONF_FLAG, AT(ids_out), NULL, 0, 0, NULL,
      "write the new ids, one line an answer, and nothing else" },
    { "json", 'j', SE_CONF_FLAG, AT(json), NULL, 0, 0, NULL,
      "write an object an answer: text, number of tokens, and what it took" },
    { "echo", 'e', SE_CONF_FLAG, AT(echo), NULL, 0, 0, NULL, "write the prompt first" },
    { "color", 0, SE_CONF_CHOICE, AT(color), "auto", 0, 0, "auto|always|never",
      "mark what was drafted; auto: on a terminal" },
    { "stats", 0, SE_CONF_FLAG, AT(stats), NULL, 0, 0, NULL,
      "tell on standard error what it took, also where that is no terminal" },
    { "quiet", 'q', SE_CONF_FLAG, AT(quiet), NULL, 0, 0, NULL,
      "tell nothing on standard error but what went wrong" },
    { "result", 'o', SE_CONF_TEXT, AT(result), NULL, 0, 0, "FILE",
      "write a record of every round, a JSON object a line" },
    { "client", 0, SE_CONF_UINT, AT(client), "0", 0, 4294967295.0, "N",
      "number of this edge in its records" },
    { "trace", 0, SE_CONF_TEXT, AT(trace), NULL, 0, 0, "FILE",
      "when every round was drafted, sent and answered, for the timelines of se-trace; with "
      "--local "
      "FILE.server is the target's" },

    { "draft", 'd', SE_CONF_TEXT, AT(draft), NULL, 0, 0, "DIR",
      "folder of the draft model; \"ngram\": guess from the text itself; without it nobody drafts, "
      "and the target goes on alone" },
    SE_RIG_SMALL_ROWS(struct se_run_options, rig),
    { "ngram-len", 0, SE_CONF_UINT, AT(ngram), "4", 1, 64, "N",
      "tokens that --draft ngram looks for, at most" },
    { "shape", 0, SE_CONF_CHOICE, AT(shape), "learned", 0, 0, "learned|published",
      "of the tree: by what guesses turned out to be worth, or by the published rule" },
    { "coupling", 0, SE_CONF_REAL, AT(coupling), "2", 0, 1000, "K",
      "how closely the draft follows the target's noise; 0: not at all" },
    { "depth", 0, SE_CONF_CHOICE, AT(depth), "learned", 0, 0, "learned|matched|fixed",
      "how much each round drafts, within what is said below: what brings the most tokens per "
      "second; as long as the server takes meanwhile; or always all of it" },
    LIMIT("max-n-beams", tree.n_beams, "32", 1, 1024, "nodes that a level looks at"),
    LIMIT("max-beam-len", tree.beam_len, "16", 0, 1023, "levels of a tree"),
    LIMIT("max-branch-width", tree.branch_width, "16", 1, 1024, "successors of a node looked at"),
    LIMIT("max-budget", tree.budget, "64", 1, 1023, "drafted tokens of a round"),
    { "proactive", 0, SE_CONF_CHOICE, AT(proactive), "excluded", 0, 0, "disabled|excluded|included",
      "draft on a bet while the target looks; excluded: on top of the next round's levels, "
      "included: instead of them" },
    LIMIT("proactive-max-n-beams", ahead.n_beams, "32", 1, 1024,
          "nodes that a level of a bet looks at"),
    LIMIT("proactive-max-beam-len", ahead.beam_len, "3", 0, 1023, "levels of a bet"),
    LIMIT("proactive-max-branch-width", ahead.branch_width, "16", 1, 1024,
          "successors of a node looked at, on a bet"),
    LIMIT("proactive-max-budget", ahead.budget, "32", 1, 1023,
          "drafted tokens of a bet, itself among them"),
    { "speculate", 0, SE_CONF_CHOICE, AT(speculate), "auto", 0, 0, "auto|on|off",
      "draft; auto: unless the server would rather go on alone" },

    { "on-busy", 0, SE_CONF_CHOICE, AT(busy), "wait", 0, 0, "wait|fail",
      "when the server is full" },
    { "retry", 0, SE_CONF_TIME, AT(retry_ns), "2s", 1e6, 3.6e12, "TIME",
      "without an answer for so long, ask again; the pause doubles" },
    { "give-up", 0, SE_CONF_TIME, AT(give_up_ns), "30s", 1e6, 8.64e13, "TIME",
      "without a sign of the server for so long, end" },
    { "check-draft", 0, SE_CONF_FLAG, AT(check), NULL, 0, 0, NULL,
      "after every round the draft is held against a fresh pass over the text", SE_CONF_HIDDEN },
};
const size_t se_run_rows_n = sizeof se_run_rows / sizeof se_run_rows[0];

const char *se_run_options_draft_model(const struct se_run_options *o)
{
    return o->draft && strcmp(o->draft, ngram) != 0 ? o->draft : NULL;
}

const char *se_run_options_words(const struct se_run_options *o)
{
    if (o->tokenizer)
        return o->tokenizer;
    return o->model ? o->model : se_run_options_draft_model(o);
}

bool se_run_options_chat(const struct se_run_options *o, enum se_run_source source)
{
    return source == SE_RUN_FROM_USER || o->prompt.chat || o->prompt.family != SE_CHAT_AUTO;
}

void se_run_options_tidy(struct se_run_options *o)
{
    const char **const name[] = { &o->server, &o->model, &o->tokenizer, &o->file, &o->dataset,
                                  &o->result, &o->draft, &o->trace,     &o->key,  &o->server_key };
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
        if (*name[i] && !**name[i])
            *name[i] = NULL;
}

static int check_target(const struct se_run_options *o)
{
    if (o->local && o->server)
        return se_usage("--local or --server: not both");
    if (o->local && (o->key || o->server_key))
        return se_usage("--local asks for no key: --key and --server-key are for --server");
    if (se_pass_check(o->key, o->server_key) < 0)
        return se_usage("%s", se_err_text());
    if (!o->local && !o->server)
        return se_usage("where is the target? Say --server URL, or --local --model DIR");
    if (o->local && !o->model)
        return se_usage("--local needs the target's folder: --model DIR");
    if (o->local && se_rig_options_check(&o->target) < 0)
        return SE_OUTCOME_USAGE;
    if (!se_run_options_words(o))
        return se_usage("which tokenizer? Say --tokenizer DIR, a folder with the target's "
                        "tokenizer.json (that of --model or --draft would do)");
    return 0;
}

static int check_source(const struct se_run_options *o, bool terminal, enum se_run_source *source)
{
    const bool from[] = { o->prompt.text != NULL, o->file != NULL, o->prompt.ids != NULL,
                          o->dataset != NULL, o->interactive };
    static const enum se_run_source what[] = { SE_RUN_FROM_TEXT, SE_RUN_FROM_TEXT, SE_RUN_FROM_IDS,
                                               SE_RUN_FROM_DATASET, SE_RUN_FROM_USER };
    int n = 0;
    *source = SE_RUN_FROM_USER;
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        if (from[i]) {
            *source = what[i];
            n++;
        }
    if (n > 1)
        return se_usage("one of -p, -f, --ids, --dataset and --interactive");
    if (n == 0 && !terminal)
        return se_usage("from what? Say -p TEXT, -f FILE, --ids \"1 2 3\", --dataset FILE, or "
                        "--interactive");
    return 0;
}

static int check_shown(const struct se_run_options *o, enum se_run_source source)
{
    bool chat = se_run_options_chat(o, source);
    if (source == SE_RUN_FROM_IDS && chat)
        return se_usage("a chat begins with a text (-p), not with ids");
    if (o->prompt.system && !chat)
        return se_usage("--system is for a chat (--chat)");
    if (o->echo && (o->json || o->ids_out))
        return se_usage("--echo is for text, not for --json or --ids-out");
    if (o->echo && source == SE_RUN_FROM_USER)
        return se_usage("--echo is not for a chat at the terminal");
    if (o->stats && o->quiet)
        return se_usage("--stats or --quiet: not both");
    return 0;
}

int se_run_options_check(const struct se_run_options *o, bool terminal, enum se_run_source *source)
{
    int r = check_target(o);
    if (r == 0)
        r = check_source(o, terminal, source);
    if (r == 0)
        r = check_shown(o, *source);
    return r;
}

static struct se_grow_config grow_of(const struct se_run_tree *tree, struct se_grow_config grow)
{
    grow.max_n_beams = (uint32_t)tree->n_beams;
    grow.max_beam_len = (uint32_t)tree->beam_len;
    grow.max_branch_width = (uint32_t)tree->branch_width;
    grow.max_budget = (uint32_t)tree->budget;
    return grow;
}

void se_run_options_edge(const struct se_run_options *o, struct se_edge_options *edge)
{
    edge->context = (uint32_t)o->context;
    edge->speculate = (enum se_wire_speculate)o->speculate;
    edge->shape = (enum se_edge_shape)o->shape;
    edge->grow = grow_of(&o->tree, edge->grow);
    edge->ahead = grow_of(&o->ahead, edge->ahead);
    edge->proactive = (enum se_proactive)o->proactive;
    edge->depth = (enum se_edge_depth)o->depth;
    edge->sharpen = (float)o->coupling;
    edge->retry_ns = o->retry_ns;
    edge->give_up_ns = o->give_up_ns;
    edge->busy = (enum se_edge_busy)o->busy;
    edge->check = o->check;
}
