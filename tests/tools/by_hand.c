/* SPDX-License-Identifier: Apache-2.0 */
/* An edge at the command line that drafts nothing: prints the greedy ids behind others.
 *
 *   by_hand URL DIR N ID...      DIR: the folder whose tokenizer the server has */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/text/tokenizer.h"
#include "tests/tools/hand.h"

enum { IDS_MAX = 512 };

static int run(const char *url, const char *dir, uint32_t wanted, const uint32_t *id, uint32_t n)
{
    uint32_t out[IDS_MAX];
    struct hand hand = HAND_NULL;
    struct se_tokenizer *tokenizer = NULL;
    int r = se_tokenizer_open(&tokenizer, dir);
    if (r == 0)
        r = hand_open(&hand, url, se_tokenizer_fingerprint(tokenizer),
                      se_tokenizer_size(tokenizer));
    if (r == 0)
        r = hand_write(&hand, id, n, wanted, out);
    for (uint32_t i = 0; r == 0 && i < wanted; i++)
        printf("%" PRIu32 "%c", out[i], i + 1 < wanted ? ' ' : '\n');
    hand_close(&hand);
    se_tokenizer_close(tokenizer);
    return r;
}

int main(int argc, char **argv)
{
    uint32_t id[IDS_MAX], n = 0;
    for (int i = 4; i < argc && n < IDS_MAX; i++)
        id[n++] = (uint32_t)strtoul(argv[i], NULL, 10);
    uint32_t wanted = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    if (n == 0 || wanted == 0 || wanted > IDS_MAX) {
        fprintf(stderr, "usage: by_hand URL DIR N ID...\n");
        return 2;
    }
    int r = run(argv[1], argv[2], wanted, id, n);
    if (r != 0)
        fprintf(stderr, "by_hand: %s\n", se_err_text());
    return r != 0;
}
