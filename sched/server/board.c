/* SPDX-License-Identifier: Apache-2.0 */
/* A row is a sequence lock: odd while it is written. Its words are atomic, so that a reader that
 * comes at the wrong moment reads something that it throws away, and not something undefined.
 *
 * No lock on the file is needed: only who holds the page of counters makes or removes this one. */
#include "sched/server/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { VERSION = 3, TRIES = 64, NAME_MAX_B = 200, PATH_B = 256, PRIVATE_B = PATH_B + 32 };
enum {
    ROW_WORDS = sizeof(struct se_board_row) / sizeof(uint64_t),
    ROUND_WORDS = sizeof(struct se_board_round) / sizeof(uint64_t),
    WORDS = ROW_WORDS + SE_BOARD_ROUNDS * ROUND_WORDS
};
_Static_assert(sizeof(struct se_board_row) % sizeof(uint64_t) == 0 &&
                   sizeof(struct se_board_round) % sizeof(uint64_t) == 0,
               "rows and rounds are whole words");

static const char magic[8] = "SE-SESS";

struct row {
    _Alignas(64) _Atomic uint64_t sequence;
    _Atomic uint64_t n_rounds; /* of this session, ever: the newest lies at n_rounds - 1, modulo */
    _Atomic uint64_t word[WORDS];
};

struct page {
    char magic[8];
    uint32_t version, row_b;
    uint32_t rows, unused;
    int64_t writer;      /* with started_ns: */
    uint64_t started_ns; /* whose counters these sessions belong to */
    struct se_board_facts facts;
    struct row row[];
};

struct se_board {
    struct page *page;
    size_t size_b;
    uint32_t rows;     /* as it was when the page was checked, whatever is written later */
    char path[PATH_B]; /* the writer's, to remove; "" otherwise */
};

static size_t page_size(uint32_t rows) { return sizeof(struct page) + rows * sizeof(struct row); }

static int path_of(const char *name, char path[PATH_B])
{
    if (strlen(name) > NAME_MAX_B || strchr(name, '/'))
        return se_fail(-EINVAL, "'%.200s' cannot name a page of sessions", name);
    snprintf(path, PATH_B, "/dev/shm/%s.sessions", name);
    return 0;
}

static int map(struct se_board *board, int fd, size_t size_b, int how)
{
    void *page = mmap(NULL, size_b, how, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return se_fail(-errno, "cannot map %zu bytes of sessions: %s", size_b, strerror(errno));
    board->page = page;
    board->size_b = size_b;
    return 0;
}

/* ---- the writer's side */

static void fill(struct se_board *board, const struct se_stat *stat,
                 const struct se_board_facts *facts)
{
    struct page *page = board->page;
    memcpy(page->magic, magic, sizeof magic);
    page->version = VERSION;
    page->row_b = sizeof(struct row);
    page->rows = board->rows;
    page->writer = se_stat_writer(stat, &page->started_ns);
    page->facts = *facts;
}

/* A file of size_b zeros, reserved: a full /dev/shm is to be an error here, not a SIGBUS later. */
static int make(const char *path, size_t size_b, bool has_keys)
{
    unlink(path); /* of an earlier process with our id */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, has_keys ? 0640 : 0644);
    if (fd < 0)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    int r = -posix_fallocate(fd, 0, (off_t)size_b);
    if (r == 0)
        return fd;
    close(fd);
    unlink(path);
    return se_fail(r, "%s: %s", path, strerror(-r));
}

/* Filled under another name and then moved, also over the page of one that was killed: a reader
 * finds a whole page. */
static int create(struct se_board *board, const char *path, const struct se_stat *stat,
                  const struct se_board_facts *facts)
{
    char private_path[PRIVATE_B];
    snprintf(private_path, sizeof private_path, "%s.%ld", path, (long)getpid());
    int fd = make(private_path, page_size(board->rows), facts->has_keys);
    if (fd < 0)
        return se_trace(fd);
    int r = map(board, fd, page_size(board->rows), PROT_READ | PROT_WRITE);
    close(fd);
    if (r == 0)
        fill(board, stat, facts);
    if (r == 0 && rename(private_path, path) < 0)
        r = se_fail(-errno, "%s: %s", path, strerror(errno));
    if (r < 0)
        unlink(private_path);
    else
        memcpy(board->path, path, PATH_B);
    return r;
}

int se_board_create(struct se_board **out, const char *name, const struct se_stat *stat,
                    const struct se_board_facts *facts)
{
    char path[PATH_B] = "";
    int r = name ? path_of(name, path) : 0;
    if (r < 0)
        return se_trace(r);
    struct se_board *board = se_mem_zero(1, sizeof *board);
    if (!board)
        return se_trace(-ENOMEM);
    board->rows = facts->max_sessions < SE_BOARD_ROWS_MAX ? facts->max_sessions : SE_BOARD_ROWS_MAX;
    if (name)
        r = create(board, path, stat, facts);
    else
        r = map(board, -1, page_size(board->rows), PROT_READ | PROT_WRITE);
    if (r == 0 && !name)
        fill(board, stat, facts);
    if (r < 0) {
        se_board_free(board);
        return se_trace(r);
    }
    *out = board;
    return 0;
}

/* [board.row] release, pairs with the acquire in whole(): who sees this word sees the odd number
 * before it, and knows that the row is not whole. */
static void put_words(_Atomic uint64_t *to, const void *from, uint32_t n)
{
    const char *at = from;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t word;
        memcpy(&word, at + i * sizeof word, sizeof word);
        atomic_store_explicit(&to[i], word, memory_order_release);
    }
}

/* relaxed, all three loads: this thread alone writes. */
void se_board_put(struct se_board *board, uint32_t at, const struct se_board_row *row,
                  const struct se_board_round *round)
{
    if (at >= board->rows)
        return;
    struct row *to = &board->page->row[at];
    uint64_t sequence = atomic_load_explicit(&to->sequence, memory_order_relaxed);
    uint64_t n = atomic_load_explicit(&to->n_rounds, memory_order_relaxed);
    uint64_t before = atomic_load_explicit(&to->word[0], memory_order_relaxed);
    if (before != row->number)
        n = 0;
    /* relaxed: whoever sees a word below sees this before it. */
    atomic_store_explicit(&to->sequence, sequence + 1, memory_order_relaxed);
    put_words(to->word, row, ROW_WORDS);
    if (round)
        put_words(to->word + ROW_WORDS + n % SE_BOARD_ROUNDS * ROUND_WORDS, round, ROUND_WORDS);
    n += round != NULL;
    put_words(&to->n_rounds, &n, 1);
    /* [board.row] release, pairs with the acquire in whole(): who sees the even number sees
     * the words before it. */
    atomic_store_explicit(&to->sequence, sequence + 2, memory_order_release);
}
_Static_assert(offsetof(struct se_board_row, number) == 0, "put() looks at the number first");

/* ---- the readers' side */

/* Reads all words; false when they are not of one writing. */
static bool whole(const struct row *from, uint64_t word[WORDS], uint64_t *n_rounds)
{
    /* [board.row] acquire, pairs with the release at the end of se_board_put(). */
    uint64_t sequence = atomic_load_explicit(&from->sequence, memory_order_acquire);
    if (sequence % 2 != 0)
        return false;
    /* [board.row] acquire, pairs with the release in put_words(): if any of these is newer than
     * the number above, the look at the number below sees that it has changed. */
    for (uint32_t i = 0; i < WORDS; i++)
        word[i] = atomic_load_explicit(&from->word[i], memory_order_acquire);
    *n_rounds = atomic_load_explicit(&from->n_rounds, memory_order_acquire);
    return atomic_load_explicit(&from->sequence, memory_order_relaxed) == sequence;
}

/* A text that ends, and that a terminal shows as it is. */
static bool ends(const char *text, size_t size_b)
{
    for (size_t i = 0; i < size_b; i++) {
        if (text[i] == '\0')
            return true;
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return false;
}

static bool facts_are_sound(const struct se_board_facts *f)
{
    return ends(f->model, sizeof f->model) && ends(f->url, sizeof f->url) &&
           ends(f->backend, sizeof f->backend) && ends(f->weights, sizeof f->weights) &&
           ends(f->kv, sizeof f->kv);
}

static int check(struct se_board *board, const char *path, const struct se_stat *stat)
{
    const struct page *page = board->page;
    uint64_t started_ns = 0;
    if (memcmp(page->magic, magic, sizeof magic) || page->version != VERSION ||
        page->row_b != sizeof(struct row))
        return se_fail(-EPROTO, "%s: no page of sessions, or one of another version", path);
    board->rows = page->rows;
    if (board->rows > SE_BOARD_ROWS_MAX || page_size(board->rows) != board->size_b ||
        !facts_are_sound(&page->facts))
        return se_fail(-EPROTO, "%s: damaged", path);
    if (page->writer != se_stat_writer(stat, &started_ns) || page->started_ns != started_ns)
        return se_fail(-EPROTO, "%s: of another server than the counters", path);
    return 0;
}

int se_board_open(struct se_board **out, const char *name, const struct se_stat *stat)
{
    char path[PATH_B];
    struct stat info;
    int r = path_of(name, path);
    if (r < 0)
        return se_trace(r);
    struct se_board *board = se_mem_zero(1, sizeof *board);
    if (!board)
        return se_trace(-ENOMEM);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) < 0)
        r = se_fail(-errno, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode) || info.st_size < (off_t)sizeof(struct page) ||
             info.st_size > (off_t)page_size(SE_BOARD_ROWS_MAX))
        r = se_fail(-EPROTO, "%s: no page of sessions", path);
    else
        r = map(board, fd, (size_t)info.st_size, PROT_READ);
    if (r == 0)
        r = check(board, path, stat);
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        se_board_free(board);
        return se_trace(r);
    }
    *out = board;
    return 0;
}

/* ---- images */

size_t se_board_image_size(const struct se_board *board)
{
    uint32_t rows = board->rows;
    /* relaxed: the rows are looked at again when they are copied. */
    while (rows > 0 &&
           atomic_load_explicit(&board->page->row[rows - 1].word[0], memory_order_relaxed) == 0)
        rows--;
    return page_size(rows);
}

/* A row that is being written each time that it is looked at is nobody's. */
static void copy_row(const struct row *from, void *to)
{
    struct row copy = { .sequence = 0 };
    uint64_t word[WORDS], n_rounds = 0;
    int tries = 0;
    while (!whole(from, word, &n_rounds))
        if (++tries == TRIES) {
            memset(word, 0, sizeof word);
            break;
        }
    put_words(copy.word, word, WORDS);
    put_words(&copy.n_rounds, &n_rounds, 1);
    memcpy(to, &copy, sizeof copy);
}

size_t se_board_image(const struct se_board *board, size_t size_b, size_t from_b, void *to,
                      size_t room_b)
{
    const size_t head_b = sizeof(struct page), row_b = sizeof(struct row);
    const size_t rows = (size_b - head_b) / row_b;
    size_t done_b = 0, row = 0;
    if (from_b == 0 && room_b >= head_b) {
        struct page head = *board->page;
        head.rows = (uint32_t)rows;
        memcpy(to, &head, head_b);
        done_b = head_b;
    } else if (from_b >= head_b && (from_b - head_b) % row_b == 0) {
        row = (from_b - head_b) / row_b;
    } else {
        return 0;
    }
    for (; row < rows && row < board->rows && room_b - done_b >= row_b; row++, done_b += row_b)
        copy_row(&board->page->row[row], (char *)to + done_b);
    return done_b;
}

int se_board_open_image(struct se_board **out, const void *image, size_t size_b, const char *from,
                        const struct se_stat *stat)
{
    if (size_b < sizeof(struct page) || size_b > page_size(SE_BOARD_ROWS_MAX))
        return se_fail(-EPROTO, "%s: no page of sessions", from);
    struct se_board *board = se_mem_zero(1, sizeof *board);
    if (!board)
        return se_trace(-ENOMEM);
    int r = map(board, -1, size_b, PROT_READ | PROT_WRITE);
    if (r == 0) {
        memcpy(board->page, image, size_b);
        r = check(board, from, stat);
    }
    if (r < 0) {
        se_board_free(board);
        return se_trace(r);
    }
    *out = board;
    return 0;
}

void se_board_free(struct se_board *board)
{
    if (!board)
        return;
    if (board->path[0])
        unlink(board->path);
    if (board->page)
        munmap(board->page, board->size_b);
    se_mem_free(board);
}

uint32_t se_board_rows(const struct se_board *board) { return board->rows; }

const struct se_board_facts *se_board_facts(const struct se_board *board)
{
    return &board->page->facts;
}

bool se_board_get(const struct se_board *board, uint32_t at, struct se_board_row *row,
                  struct se_board_round round[SE_BOARD_ROUNDS], uint32_t *n)
{
    uint64_t word[WORDS], n_rounds = 0;
    int tries = 0;
    if (at >= board->rows)
        return false;
    while (!whole(&board->page->row[at], word, &n_rounds))
        if (++tries == TRIES)
            return false;
    memcpy(row, word, sizeof *row);
    if (row->number == 0 || row->state >= SE_BOARD_STATES || !ends(row->key, sizeof row->key) ||
        !ends(row->draft, sizeof row->draft))
        return false;
    *n = n_rounds < SE_BOARD_ROUNDS ? (uint32_t)n_rounds : SE_BOARD_ROUNDS;
    for (uint32_t i = 0; i < *n; i++) {
        uint64_t place = (n_rounds - *n + i) % SE_BOARD_ROUNDS;
        memcpy(&round[i], word + ROW_WORDS + place * ROUND_WORDS, sizeof round[i]);
    }
    return true;
}
