/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/peer_llama.c - times llama.cpp on the step that `se-model bench` times.
 *
 * A model and C tokens of context; then n rows more, logits wanted of every row, and the
 * rows taken out of the cache again. Only the step is on the clock, from the call until the
 * logits can be read. Every sample is printed, as JSON.
 *
 * "33" is a chain of 33 rows. "33t" is a tree: a root and 8 branches of depth 4. llama.cpp
 * has no parent pointers, so each branch is a sequence of its own which shares the cells of
 * the context, and the root is in all of them.
 *
 *     peer_llama MODEL.gguf [--rows 1,8,33,33t,128] [--context 128] [--threads 1]
 *                [--repeat 7] [--warm-up 2] [--flash auto|on|off] [--kv f16|f32]
 *
 * Not part of the build: peer_llama.sh compiles it against a llama.cpp of the user's. */
#include <errno.h>
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_CASES = 16, MAX_ROWS = 1024, MAX_REPEAT = 1000, BRANCHES = 8 };

struct rows_case {
    int n;
    bool tree;
    double ms[MAX_REPEAT];
};

struct request {
    const char *model;
    struct rows_case rows[MAX_CASES];
    int n_cases;
    int context;
    int threads;
    int repeat;
    int warm_up;
    enum llama_flash_attn_type flash;
    enum ggml_type kv;
};

static _Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "peer_llama: %s: %s\n", what, detail);
    exit(1);
}

static int number(const char *name, const char *text, int min, int max)
{
    char *end;

    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < min || v > max)
        die(name, text);
    return (int)v;
}

static void parse_rows(struct request *q, const char *text)
{
    char buf[256];
    char *save = NULL;

    if (strlen(text) >= sizeof(buf))
        die("--rows", text);
    strcpy(buf, text);
    q->n_cases = 0;
    for (char *s = strtok_r(buf, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save)) {
        struct rows_case *c;
        size_t len = strlen(s);

        if (q->n_cases == MAX_CASES)
            die("--rows", "too many");
        c = &q->rows[q->n_cases++];
        c->tree = len > 1 && s[len - 1] == 't';
        if (c->tree)
            s[len - 1] = '\0';
        c->n = number("--rows", s, 1, MAX_ROWS);
    }
}

static void parse_flash(struct request *q, const char *text)
{
    if (strcmp(text, "auto") == 0)
        q->flash = LLAMA_FLASH_ATTN_TYPE_AUTO;
    else if (strcmp(text, "on") == 0)
        q->flash = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    else if (strcmp(text, "off") == 0)
        q->flash = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    else
        die("--flash", text);
}

static void parse_kv(struct request *q, const char *text)
{
    if (strcmp(text, "f16") == 0)
        q->kv = GGML_TYPE_F16;
    else if (strcmp(text, "f32") == 0)
        q->kv = GGML_TYPE_F32;
    else
        die("--kv", text);
}

static void parse(struct request *q, int argc, char **argv)
{
    *q = (struct request){
        .context = 128,
        .threads = 1,
        .repeat = 7,
        .warm_up = 2,
        .flash = LLAMA_FLASH_ATTN_TYPE_AUTO,
        .kv = GGML_TYPE_F16,
    };
    parse_rows(q, "1,8,33,128");
    if (argc < 2 || argc % 2 != 0)
        die("usage", "peer_llama MODEL.gguf [--option value]...");
    q->model = argv[1];
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i];
        const char *value = argv[i + 1];

        if (strcmp(name, "--rows") == 0)
            parse_rows(q, value);
        else if (strcmp(name, "--context") == 0)
            q->context = number(name, value, 1, 1 << 20);
        else if (strcmp(name, "--threads") == 0)
            q->threads = number(name, value, 1, 1024);
        else if (strcmp(name, "--repeat") == 0)
            q->repeat = number(name, value, 1, MAX_REPEAT);
        else if (strcmp(name, "--warm-up") == 0)
            q->warm_up = number(name, value, 0, MAX_REPEAT);
        else if (strcmp(name, "--flash") == 0)
            parse_flash(q, value);
        else if (strcmp(name, "--kv") == 0)
            parse_kv(q, value);
        else
            die("unknown option", name);
    }
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void quiet(enum ggml_log_level level, const char *text, void *user)
{
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static void add_row(struct llama_batch *b, llama_token token, int pos, bool logits, int first_seq,
                    int n_seq)
{
    int i = b->n_tokens++;

    b->token[i] = token;
    b->pos[i] = pos;
    b->n_seq_id[i] = n_seq;
    for (int s = 0; s < n_seq; s++)
        b->seq_id[i][s] = first_seq + s;
    b->logits[i] = logits;
}

/* Any token that is no special one of the dummy tokenizer; never twice in a row. */
static llama_token some_token(int i, int n_vocab)
{
    return (llama_token)((1000 + 7919 * (long)i) % n_vocab);
}

static void prefill(struct llama_context *ctx, struct llama_batch *b, const struct request *q,
                    int n_vocab)
{
    llama_memory_t mem = llama_get_memory(ctx);

    for (int at = 0; at < q->context;) {
        b->n_tokens = 0;
        for (; at < q->context && b->n_tokens < 128; at++)
            add_row(b, some_token(at, n_vocab), at, false, 0, 1);
        b->logits[b->n_tokens - 1] = true;
        if (llama_decode(ctx, *b) != 0)
            die(q->model, "the context does not decode");
    }
    for (int s = 1; s < BRANCHES; s++)
        llama_memory_seq_cp(mem, 0, s, 0, q->context);
    llama_synchronize(ctx);
}

/* Rows of a chain, or the root and its branches, depth first: as verification sends them. */
static void fill(struct llama_batch *b, const struct rows_case *c, int context, int n_vocab)
{
    b->n_tokens = 0;
    if (!c->tree) {
        for (int i = 0; i < c->n; i++)
            add_row(b, some_token(i, n_vocab), context + i, true, 0, 1);
        return;
    }
    int depth = (c->n - 1 + BRANCHES - 1) / BRANCHES;
    add_row(b, some_token(0, n_vocab), context, true, 0, BRANCHES);
    for (int i = 1; i < c->n; i++)
        add_row(b, some_token(i, n_vocab), context + 1 + (i - 1) % depth, true, (i - 1) / depth, 1);
}

static double step(struct llama_context *ctx, const struct llama_batch *b, int context,
                   const char *model)
{
    double from = now_ms();
    if (llama_decode(ctx, *b) != 0)
        die(model, "a step does not decode");
    llama_synchronize(ctx);
    const float *last = llama_get_logits_ith(ctx, b->n_tokens - 1);
    double ms = now_ms() - from;

    if (last == NULL || !(last[0] > -1e30f && last[0] < 1e30f))
        die(model, "logits are missing or not finite");
    for (int s = 0; s < BRANCHES; s++) {
        if (!llama_memory_seq_rm(llama_get_memory(ctx), s, context, -1))
            die(model, "the rows cannot be taken out");
    }
    return ms;
}

/* Every case once per turn, as se-model does: a slow moment of the machine falls on all. */
static void measure(struct llama_context *ctx, struct llama_batch *b, struct request *q,
                    int n_vocab)
{
    for (int turn = -q->warm_up; turn < q->repeat; turn++) {
        for (int i = 0; i < q->n_cases; i++) {
            fill(b, &q->rows[i], q->context, n_vocab);
            double ms = step(ctx, b, q->context, q->model);
            if (turn >= 0)
                q->rows[i].ms[turn] = ms;
        }
    }
}

static void print_case(const struct rows_case *c, int repeat)
{
    printf("  {\"rows\": %d, \"tree\": %s, \"ms\": [", c->n, c->tree ? "true" : "false");
    for (int i = 0; i < repeat; i++)
        printf("%s%.4f", i > 0 ? ", " : "", c->ms[i]);
    printf("]}");
}

static struct llama_context *open_context(struct llama_model *model, const struct request *q)
{
    struct llama_context_params p = llama_context_default_params();

    p.n_ctx = (uint32_t)q->context + MAX_ROWS;
    p.n_batch = MAX_ROWS;
    p.n_ubatch = 512;
    p.n_seq_max = BRANCHES;
    p.kv_unified = true; /* the branches share the context's cells */
    p.n_threads = q->threads;
    p.n_threads_batch = q->threads;
    p.flash_attn_type = q->flash;
    p.type_k = q->kv;
    p.type_v = q->kv;
    return llama_init_from_model(model, p);
}

int main(int argc, char **argv)
{
    static struct request q; /* its samples are too many for the stack */
    char name[128];

    parse(&q, argc, argv);
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model *model = llama_model_load_from_file(q.model, llama_model_default_params());
    if (model == NULL)
        die(q.model, "does not load");
    struct llama_context *ctx = open_context(model, &q);
    if (ctx == NULL)
        die(q.model, "no context");

    struct llama_batch b = llama_batch_init(MAX_ROWS, 0, BRANCHES);
    int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    llama_model_desc(model, name, sizeof(name));
    prefill(ctx, &b, &q, n_vocab);
    measure(ctx, &b, &q, n_vocab);
    printf("{\"engine\": \"llama.cpp\", \"system\": \"%s\",\n", llama_print_system_info());
    printf(" \"model\": \"%s\", \"bytes\": %llu, \"context\": %d, \"threads\": %d,\n", name,
           (unsigned long long)llama_model_size(model), q.context, q.threads);
    printf(" \"results\": [\n");
    for (int i = 0; i < q.n_cases; i++) {
        print_case(&q.rows[i], q.repeat);
        printf("%s\n", i + 1 < q.n_cases ? "," : "");
    }
    printf(" ]}\n");

    llama_batch_free(b);
    llama_free(ctx);
    llama_model_free(model);
    llama_backend_free();
    return 0;
}
