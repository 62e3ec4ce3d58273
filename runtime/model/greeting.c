/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/greeting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/model/collective.h"
#include "runtime/model/model.h"
#include "runtime/model/orders.h"

static const char hello_magic[8] = "SE-HELLO", reply_magic[8] = "SE-REPLY";
enum { ROWS_MAX = 1 << 20 };
#define WAIT_MAX_NS 86400000000000u

static struct se_greeting_head head_of(const char magic[8], size_t size_b)
{
    struct se_greeting_head head = { .version = SE_GREETING_VERSION, .size_b = (uint32_t)size_b };
    memcpy(head.magic, magic, sizeof head.magic);
    return head;
}

void se_hello_init(struct se_hello *hello, enum se_hello_kind kind, uint64_t model)
{
    *hello = (struct se_hello){ .head = head_of(hello_magic, sizeof *hello),
                                .kind = (uint32_t)kind,
                                .layout = se_orders_layout(),
                                .model = model };
}

void se_reply_init(struct se_reply *reply)
{
    *reply = (struct se_reply){ .head = head_of(reply_magic, sizeof *reply) };
}

void se_reply_refuse(struct se_reply *reply)
{
    reply->refused = 1;
    snprintf(reply->why, sizeof reply->why, "%.*s", SE_GREETING_WHY_B - 1, se_err_text());
}

/* What is not for us says less than what is ours and too old, so the two are told apart. */
static int check_head(const struct se_greeting_head *head, const char magic[8], size_t size_b)
{
    if (memcmp(head->magic, magic, sizeof head->magic) != 0)
        return se_fail(-EBADMSG, "these are no words of a rank");
    if (head->version != SE_GREETING_VERSION)
        return se_fail(-EPROTO,
                       "one side speaks version %u of the ranks' protocol, the other "
                       "version %u: use the same release on all machines",
                       head->version, SE_GREETING_VERSION);
    if (head->size_b != size_b)
        return se_fail(-EPROTO, "the two sides are of different builds: use the same on all "
                                "machines");
    return 0;
}

int se_hello_check_head(const struct se_greeting_head *head)
{
    return check_head(head, hello_magic, sizeof(struct se_hello));
}

/* What comes goes to a terminal. */
static void clean(char *text, size_t size_b)
{
    text[size_b - 1] = '\0';
    for (char *at = text; *at; at++)
        *at = (unsigned char)*at < ' ' || *at == 127 ? '?' : *at;
}

int se_hello_check(struct se_hello *hello)
{
    const int r = se_hello_check_head(&hello->head);
    if (r < 0)
        return r;
    clean(hello->backend, sizeof hello->backend);
    if (hello->layout != se_orders_layout())
        return se_fail(-EPROTO, "the two sides are of different builds: use the same on all "
                                "machines");
    return hello->kind < SE_HELLO_KINDS ? 0 : se_fail(-EBADMSG, "a hello of no kind that is known");
}

int se_nodes_terms_check(const struct se_nodes_terms *t)
{
    if (t->size < 2 || t->size > SE_COLLECTIVE_RANKS_MAX || t->first < 1 || t->first >= t->size ||
        t->n < 1 || t->n > t->size - t->first)
        return se_fail(-EBADMSG, "ranks %u to %u of %u cannot be", t->first, t->first + t->n - 1,
                       t->size);
    if (t->max_rows < 1 || t->max_rows > ROWS_MAX || t->n_pages < 1 ||
        t->n_pages > INT32_MAX / SE_PAGE_SLOTS ||
        (t->kv_dtype != SE_DTYPE_F32 && t->kv_dtype != SE_DTYPE_F16) ||
        t->weights > SE_WEIGHTS_Q8 || t->wait_ns == 0 || t->wait_ns > WAIT_MAX_NS)
        return se_fail(-EBADMSG, "what rank 0 says of its steps and its memory cannot be");
    return 0;
}

int se_reply_check(struct se_reply *reply)
{
    const int r = check_head(&reply->head, reply_magic, sizeof *reply);
    if (r < 0 || !reply->refused)
        return r;
    clean(reply->why, sizeof reply->why);
    return se_fail(-EACCES, "%s", reply->why);
}
