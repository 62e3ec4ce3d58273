/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation. Every turn lays out all that was said anew; as long as that begins with the ids
 * that were sent and received before, nothing of them is sent or computed again, which the edge
 * sees to. Where the model wrote a text in other tokens than the tokenizer would, the rest is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/conf_value.h"
#include "runtime/base/err.h"
#include "tools/interrupt.h"
#include "tools/line.h"
#include "tools/program.h"
#include "tools/se_run.h"
#include "tools/se_run_talk.h"
#include "tools/state.h"

enum { QUIT = 100 }; /* of a command: that was all */

static const char history_name[] = "se-run.history";

struct chat {
    struct se_run *run;
    struct se_line *line;
    struct se_run_talk talk;
    struct se_sampling_options sampling;
    uint64_t turns;
};

/* ---- commands */

struct command {
    const char *name;
    const char *argument; /* as /help shows it, or NULL: none */
    const char *help;
    int (*run)(struct chat *chat, const struct command *command, const char *argument);
};

static int help(struct chat *chat, const struct command *command, const char *argument);

static int reset(struct chat *chat, const struct command *command, const char *argument)
{
    (void)command;
    (void)argument;
    se_run_talk_reset(&chat->talk);
    return 0;
}

static int set_system(struct chat *chat, const struct command *command, const char *argument)
{
    (void)command;
    return se_run_talk_system(&chat->talk, argument);
}

/* The command line's own rows judge the value, so that the same is refused in the same words. */
static int set_sampling(struct chat *chat, const struct command *command, const char *argument)
{
    static const struct se_conf_row rows[] = { SE_SAMPLING_OPTION_ROWS(struct chat, sampling) };
    struct chat wanted = { .sampling = chat->sampling };
    struct se_sampling sampling;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, command->name) != 0)
            continue;
        if (se_conf_value_set(&rows[i], &wanted, argument, command->name) < 0)
            return SE_OUTCOME_USAGE;
    }
    int r = se_sampling_options_read(&wanted.sampling, &sampling);
    if (r != 0)
        return r;
    chat->sampling = wanted.sampling;
    chat->run->sampling = sampling;
    r = se_run_edge_renew(&chat->run->edge, &sampling);
    /* Nothing that a user could bear: there is no edge any more. */
    return r < 0 ? se_fail(-EIO, "%s", se_err_text()) : 0;
}

static int show_stats(struct chat *chat, const struct command *command, const char *argument)
{
    (void)command;
    (void)argument;
    se_run_tally_print(&chat->run->all, stderr);
    return 0;
}

static int quit(struct chat *chat, const struct command *command, const char *argument)
{
    (void)chat;
    (void)command;
    (void)argument;
    return QUIT;
}

static const struct command commands[] = {
    { "help", NULL, "this", help },
    { "reset", NULL, "forget what was said", reset },
    { "system", "TEXT", "what the system says first; nothing without TEXT", set_system },
    { "seed", "N", "of the noise", set_sampling },
    { "temp", "T", "temperature; 0: always the likeliest token", set_sampling },
    { "top-k", "K", "choose among the K likeliest; 0: among all", set_sampling },
    { "top-p", "P", "choose among the likeliest that together reach P", set_sampling },
    { "min-p", "P", "leave out what is less likely than P times the likeliest", set_sampling },
    { "stats", NULL, "what it took so far", show_stats },
    { "quit", NULL, "leave; so does Ctrl-D", quit },
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static int help(struct chat *chat, const struct command *command, const char *argument)
{
    (void)chat;
    (void)command;
    (void)argument;
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(stderr, "  /%-7s %-5s %s\n", commands[i].name,
                commands[i].argument ? commands[i].argument : "", commands[i].help);
    fprintf(stderr, "Ctrl-C stops an answer. A blank in front: a text that begins with \"/\".\n");
    return 0;
}

static const struct command *find_command(const char *name, size_t len)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strlen(commands[i].name) == len && memcmp(commands[i].name, name, len) == 0)
            return &commands[i];
    return NULL;
}

/* "/name argument" */
static int obey(struct chat *chat, const char *line)
{
    size_t len = strcspn(line + 1, " \t");
    const char *argument = line + 1 + len;
    const struct command *command = find_command(line + 1, len);
    argument += strspn(argument, " \t");
    if (!command)
        return se_usage("no command \"%.40s\": /help tells which there are", line);
    if (!command->argument && *argument)
        return se_usage("/%s takes nothing", command->name);
    return command->run(chat, command, argument);
}

/* ---- turns */

/* What was said by both stays, also of an answer that broke off; what nobody answered does not. */
static int remember(struct chat *chat, int r)
{
    const struct se_run_writer *w = &chat->run->writer;
    if (w->n == 0 && r != 0) {
        se_run_talk_unsay(&chat->talk);
        return 0;
    }
    return se_run_talk_assistant(&chat->talk, w->text ? w->text : "", w->len);
}

static int take_turn(struct chat *chat, const char *text)
{
    struct se_run *run = chat->run;
    struct se_ids ids = SE_IDS_NULL;
    int r = se_run_talk_user(&chat->talk, text);
    if (r < 0)
        return r;
    se_run_record_request(&run->record, chat->turns++);
    r = se_run_words_encode(&run->words, chat->talk.turn, chat->talk.n, &ids);
    run->writer.n = 0;
    if (r == 0)
        r = se_run_answer(run, &ids, NULL);
    se_ids_fini(&ids);
    int kept = remember(chat, r);
    return kept < 0 ? kept : r;
}

/* Whether the chat goes on after this, having told what is wrong. */
static bool bears(struct chat *chat, int r)
{
    bool typed = se_line_typed(chat->line);
    switch (r) {
    case 0:
        return true;
    case SE_OUTCOME_INTERRUPTED:
        se_interrupt_met();
        return typed && !se_interrupt_ends();
    case SE_OUTCOME_USAGE:
    case -ERANGE: /* longer than the context: /reset helps */
    case -EINVAL:
    case -EILSEQ:
    case -EFBIG:
        break;
    case SE_RUN_UNREACHABLE: /* it may come back, and who types decides whether to wait */
    case SE_RUN_FULL:
        if (!typed)
            return false;
        break;
    default:
        return false;
    }
    se_program_say("%s", se_err_text());
    return true;
}

static bool is_blank(const char *text) { return text[strspn(text, " \t")] == '\0'; }

/* One line of the user's. 0, QUIT, SE_LINE_END, or what ends the chat. */
static int take_line(struct chat *chat)
{
    const char *text;
    int r = se_line_read(chat->line, "> ", &text);
    if (r == SE_LINE_END)
        return QUIT;
    if (r == SE_LINE_BROKEN)
        return SE_OUTCOME_INTERRUPTED;
    if (r < 0 || is_blank(text))
        return r;
    return text[0] == '/' ? obey(chat, text) : take_turn(chat, text);
}

static int talk(struct chat *chat)
{
    int r = se_run_talk_system(&chat->talk, chat->run->o->prompt.system);
    while (r == 0) {
        r = take_line(chat);
        if (r == QUIT)
            return 0;
        if (bears(chat, r))
            r = se_run_records_whole(chat->run);
    }
    return r;
}

static int open_line(struct chat *chat)
{
    char *history = NULL;
    if (isatty(STDIN_FILENO) == 1 && se_state_path(&history, history_name) < 0)
        se_program_say("lines will not be remembered: %s", se_err_text());
    int r = se_line_open(&chat->line, history);
    free(history);
    return r < 0 ? se_trace(r) : 0;
}

int se_run_chat(struct se_run *run)
{
    struct chat chat = { .run = run, .sampling = run->o->sampling };
    int r = open_line(&chat);
    if (r == 0 && se_line_typed(chat.line) && !run->o->quiet)
        fprintf(stderr, "/help tells what there is beside talking; Ctrl-D ends.\n");
    if (r == 0)
        r = talk(&chat);
    /* Ctrl-D leaves the cursor behind the prompt. */
    if (chat.line && se_line_typed(chat.line))
        fputc('\n', stderr);
    se_line_close(chat.line);
    se_run_talk_fini(&chat.talk);
    return r;
}
