/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/shards.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "tools/interrupt.h"
#include "tools/noise.h"
#include "tools/progress.h"
#include "tools/se_model.h"

enum {
    ITEM = 1 << 18,      /* elements that one thread makes at a time */
    ITEMS_PER_WRITE = 8, /* of them in one write() */
    ALIGN_B = 64         /* where the first tensor begins: a mapped file suits wide loads */
};

struct plan {
    size_t *first; /* of each shard: its first tensor; one more entry ends the last */
    size_t n, cap;
};

struct filler {
    struct se_noise noise;
    unsigned char *buffer;
    size_t element_b;
    uint64_t from, n;
};

static size_t element_size(enum se_dtype dtype) { return dtype == SE_DTYPE_F32 ? 4 : 2; }

static uint64_t tensor_size(const struct se_shards *s, size_t i)
{
    return se_tensor_count(&s->tensor[i]) * element_size(s->dtype);
}

static uint64_t span_size(const struct se_shards *s, size_t from, size_t end)
{
    uint64_t total = 0;
    for (size_t i = from; i < end; i++)
        total += tensor_size(s, i);
    return total;
}

static int cut(const struct se_shards *s, struct plan *plan)
{
    uint64_t used = 0;
    for (size_t i = 0; i <= s->n_tensors; i++) {
        uint64_t size = i < s->n_tensors ? tensor_size(s, i) : 0;
        if (i == 0 || i == s->n_tensors || used + size > s->shard_b) {
            int r = se_mem_grow(&plan->first, &plan->cap, plan->n + 1, sizeof plan->first[0]);
            if (r < 0)
                return r;
            plan->first[plan->n++] = i;
            used = 0;
        }
        used += size;
    }
    plan->n--; /* the last entry is the end */
    return 0;
}

static void shard_name(char *name, size_t size_b, size_t number, size_t n)
{
    if (n == 1)
        snprintf(name, size_b, "model.safetensors");
    else
        snprintf(name, size_b, "model-%05zu-of-%05zu.safetensors", number + 1, n);
}

/* Length word, JSON and blanks up to the alignment. */
static int make_header(const struct se_shards *s, size_t from, size_t end, char **text, size_t *len)
{
    static const char *const kind[] = {
        [SE_DTYPE_F32] = "F32", [SE_DTYPE_F16] = "F16", [SE_DTYPE_BF16] = "BF16"
    };
    uint64_t at = 0;
    FILE *to = open_memstream(text, len);
    if (!to)
        return se_fail(-ENOMEM, "out of memory for a header");
    fputs("        {\"__metadata__\":{\"format\":\"pt\"}", to);
    for (size_t i = from; i < end; i++) {
        const struct se_tensor *t = &s->tensor[i];
        uint64_t size = tensor_size(s, i);
        fprintf(to, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRIu32, t->name, kind[s->dtype],
                t->n_out);
        if (t->n_in)
            fprintf(to, ",%" PRIu32, t->n_in);
        fprintf(to, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + size);
        at += size;
    }
    putc('}', to);
    for (long here = ftell(to); here % ALIGN_B != 0; here++)
        putc(' ', to);
    if (fclose(to) != 0) {
        free(*text);
        return se_fail(-ENOMEM, "out of memory for a header");
    }
    uint64_t json_b = *len - 8;
    for (int i = 0; i < 8; i++)
        (*text)[i] = (char)(json_b >> (8 * i));
    return 0;
}

static void fill_item(void *context, uint32_t item, uint32_t thread)
{
    struct filler *f = context;
    uint64_t at = (uint64_t)item * ITEM;
    uint64_t n = f->n - at < ITEM ? f->n - at : ITEM;
    (void)thread;
    se_noise_fill(&f->noise, f->from + at, n, f->buffer + at * f->element_b);
}

static int write_tensor(const struct se_shards *s, size_t number, struct filler *f, int fd,
                        const char *path, struct se_progress *progress, uint64_t *done,
                        uint64_t total)
{
    const struct se_tensor *t = &s->tensor[number];
    uint64_t count = se_tensor_count(t);
    se_noise_init(&f->noise, s->seed, (uint32_t)number, s->dtype, t->mean, t->deviation);
    for (f->from = 0; f->from < count; f->from += f->n) {
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        f->n = count - f->from;
        if (f->n > ITEM * ITEMS_PER_WRITE)
            f->n = ITEM * ITEMS_PER_WRITE;
        se_pool_run(s->pool, fill_item, f, (uint32_t)((f->n + ITEM - 1) / ITEM));
        int r = se_folder_put(fd, path, f->buffer, f->n * f->element_b);
        if (r < 0)
            return r;
        *done += f->n * f->element_b;
        se_progress_at(progress, *done, total);
    }
    return 0;
}

static int write_shard(const struct se_shards *s, const struct plan *plan, size_t number,
                       struct filler *f, struct se_progress *progress, uint64_t *done)
{
    char name[64], *header = NULL;
    size_t from = plan->first[number], end = plan->first[number + 1], len = 0;
    uint64_t total = span_size(s, 0, s->n_tensors);
    int fd;
    shard_name(name, sizeof name, number, plan->n);
    int r = make_header(s, from, end, &header, &len);
    if (r < 0)
        return r;
    r = se_folder_create(s->folder, name, len + span_size(s, from, end), &fd);
    if (r < 0)
        goto out;
    const char *path = s->folder->file[s->folder->n_files - 1];
    r = se_folder_put(fd, path, header, len);
    for (size_t i = from; r == 0 && i < end; i++)
        r = write_tensor(s, i, f, fd, path, progress, done, total);
    if (close(fd) < 0 && r == 0)
        r = se_fail(-errno, "%s: %s", path, strerror(errno));
out:
    free(header);
    return r;
}

static int write_index(const struct se_shards *s, const struct plan *plan)
{
    char name[64], *text;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return se_fail(-ENOMEM, "out of memory for an index");
    fprintf(to, "{\"metadata\": {\"total_size\": %" PRIu64 "},\n \"weight_map\": {",
            span_size(s, 0, s->n_tensors));
    for (size_t number = 0; number < plan->n; number++) {
        shard_name(name, sizeof name, number, plan->n);
        for (size_t i = plan->first[number]; i < plan->first[number + 1]; i++)
            fprintf(to, "%s\n  \"%s\": \"%s\"", i ? "," : "", s->tensor[i].name, name);
    }
    fputs("}}\n", to);
    int r = fclose(to) == 0 ? 0 : se_fail(-ENOMEM, "out of memory for an index");
    if (r == 0)
        r = se_folder_write(s->folder, "model.safetensors.index.json", text, len);
    free(text);
    return r;
}

int se_shards_write(const struct se_shards *shards)
{
    struct plan plan = { 0 };
    struct filler filler = { .element_b = element_size(shards->dtype) };
    struct se_progress progress;
    uint64_t done = 0;
    int r = cut(shards, &plan);
    if (r < 0)
        goto out;
    filler.buffer = se_mem_new((size_t)ITEM * ITEMS_PER_WRITE, filler.element_b);
    if (!filler.buffer) {
        r = -ENOMEM;
        goto out;
    }
    se_progress_begin(&progress, "writing weights");
    for (size_t i = 0; r == 0 && i < plan.n; i++)
        r = write_shard(shards, &plan, i, &filler, &progress, &done);
    se_progress_end(&progress);
    if (r == 0 && plan.n > 1)
        r = write_index(shards, &plan);
out:
    se_mem_free(filler.buffer);
    se_mem_free(plan.first);
    return r;
}
