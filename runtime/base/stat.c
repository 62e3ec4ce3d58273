/* SPDX-License-Identifier: Apache-2.0 */
/* The page is filled under a private name and then linked to its own, so that a reader never
 * finds half a page. Its writer holds a lock on the file for as long as it lives: the kernel
 * gives that up however the process ends, and a process id that was used again cannot pass
 * for the writer. */
#include "runtime/base/stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { LINE_B = 64, VERSION = 1, TRIES = 16 };
enum { NAME_MAX_B = 200, PATH_B = 256, PRIVATE_B = PATH_B + 32 };

static const char magic[8] = "SE-STAT";

struct header {
    char magic[8];
    uint32_t version;
    uint32_t n;          /* labels, and counters */
    uint64_t size_b;     /* of the whole page */
    int64_t writer;      /* process id */
    uint64_t started_ns; /* monotonic clock */
    uint64_t checksum;   /* of header and labels, with 0 here */
    uint8_t unused[16];
};

struct label {
    char name[SE_STAT_LABEL_B]; /* ends with a zero, the rest is zero too */
    uint32_t kind;
    uint32_t unused;
};

struct cell {
    _Alignas(LINE_B) _Atomic uint64_t value;
};

_Static_assert(sizeof(struct header) == LINE_B && sizeof(struct label) == LINE_B &&
                   sizeof(struct cell) == LINE_B,
               "the parts of the page are whole cache lines");

struct se_stat {
    struct header *header;
    struct label *label;
    struct cell *cell;
    size_t size_b;
    uint32_t n;        /* as it was when the page was checked, whatever is written later */
    int fd;            /* the writer's is locked; -1: an anonymous page */
    char path[PATH_B]; /* the writer's, to remove; "" otherwise */
};

static size_t page_size(uint32_t n)
{
    return sizeof(struct header) + n * (sizeof(struct label) + sizeof(struct cell));
}

/* FNV-1a, 64 bits: finds damage, not malice. */
static uint64_t mix(uint64_t sum, const void *data, size_t len_b)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < len_b; i++)
        sum = (sum ^ byte[i]) * 0x100000001b3u;
    return sum;
}

static uint64_t checksum(const struct header *header, const struct label *label)
{
    struct header copy = *header;
    copy.checksum = 0;
    return mix(mix(0xcbf29ce484222325u, &copy, sizeof copy), label, copy.n * sizeof *label);
}

static int path_of(const char *name, char path[PATH_B])
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_MAX_B || name[0] == '.' || strchr(name, '/'))
        return se_fail(-EINVAL, "'%.200s' cannot name a page of counters", name);
    snprintf(path, PATH_B, "/dev/shm/%s", name);
    return 0;
}

static int map(struct se_stat *stat, int fd, size_t size_b, bool writable)
{
    void *page = mmap(NULL, size_b, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                      fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return se_fail(-errno, "cannot map %zu bytes of counters: %s", size_b, strerror(errno));
    stat->header = page;
    stat->size_b = size_b;
    return 0;
}

/* Where the parts lie, once n can be trusted. */
static void lay_out(struct se_stat *stat, uint32_t n)
{
    stat->n = n;
    stat->label = (struct label *)(stat->header + 1);
    stat->cell = (struct cell *)(stat->label + n);
}

static int check_labels(const struct se_stat_label *label, uint32_t n)
{
    if (n > SE_STAT_MAX)
        return se_fail(-EINVAL, "%u counters are more than %d", n, SE_STAT_MAX);
    for (uint32_t i = 0; i < n; i++)
        if (!label[i].name || strlen(label[i].name) >= SE_STAT_LABEL_B ||
            (label[i].kind != SE_STAT_COUNTER && label[i].kind != SE_STAT_GAUGE))
            return se_fail(-EINVAL, "counter %u: its name is too long or its kind unknown", i);
    return 0;
}

static void fill(struct se_stat *stat, const struct se_stat_label *label, uint32_t n)
{
    struct header *header = stat->header;
    memcpy(header->magic, magic, sizeof magic);
    header->version = VERSION;
    header->n = n;
    header->size_b = stat->size_b;
    header->writer = getpid();
    header->started_ns = se_clock_ns();
    lay_out(stat, n);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(stat->label[i].name, label[i].name, strlen(label[i].name));
        stat->label[i].kind = (uint32_t)label[i].kind;
    }
    header->checksum = checksum(header, stat->label);
}

/* path and fd are the same file still. */
static bool same_file(const char *path, int fd)
{
    struct stat by_path, by_fd;
    return lstat(path, &by_path) == 0 && fstat(fd, &by_fd) == 0 && by_path.st_dev == by_fd.st_dev &&
           by_path.st_ino == by_fd.st_ino;
}

/* Removes the page of a writer that is gone. 0 also when there is none any more; -EEXIST
 * when its writer lives, or when it is somebody else's file. */
static int remove_stale(const char *path)
{
    int r = 0;
    char start[sizeof magic] = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : se_fail(-errno, "%s: %s", path, strerror(errno));
    if (pread(fd, start, sizeof start, 0) != sizeof start || memcmp(start, magic, sizeof magic)) {
        r = se_fail(-EEXIST, "%s: exists and is no page of counters", path);
        goto out;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        r = se_fail(-EEXIST, "%s: in use by a process that lives", path);
        goto out;
    }
    /* With the lock in hand nobody else removes this file, only one that replaced it. */
    if (same_file(path, fd) && unlink(path) < 0)
        r = se_fail(-errno, "%s: cannot remove: %s", path, strerror(errno));
out:
    close(fd);
    return r;
}

/* A locked file of size_b zeros under a name that nobody looks for. */
static int make_private(const char *path, char private_path[PRIVATE_B], size_t size_b)
{
    int r = 0;
    static _Atomic uint32_t serial;
    /* relaxed: the numbers only have to differ. */
    uint32_t number = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed);
    snprintf(private_path, PRIVATE_B, "%s.%ld.%u", path, (long)getpid(), number);
    unlink(private_path); /* of an earlier process with our id */
    int fd = open(private_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return se_fail(-errno, "%s: %s", private_path, strerror(errno));
    /* Reserved, not only declared: a full /dev/shm is to be an error here, not a SIGBUS in
     * the middle of the work. */
    r = -posix_fallocate(fd, 0, (off_t)size_b);
    if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        r = -errno;
    if (r == 0)
        return fd;
    se_fail(r, "%s: %s", private_path, strerror(-r));
    unlink(private_path);
    close(fd);
    return r;
}

/* Gives the private file its name, in place of a stale one. */
static int publish(const char *private_path, const char *path)
{
    for (int i = 0; i < TRIES; i++) {
        if (link(private_path, path) == 0)
            return 0;
        if (errno != EEXIST)
            return se_fail(-errno, "%s: %s", path, strerror(errno));
        int r = remove_stale(path);
        if (r < 0)
            return se_trace(r);
    }
    return se_fail(-EEXIST, "%s: others keep making it", path);
}

static int create_named(struct se_stat *stat, const char *name, const struct se_stat_label *label,
                        uint32_t n)
{
    char private_path[PRIVATE_B], path[PATH_B];
    int r = path_of(name, path);
    if (r < 0)
        return se_trace(r);
    r = make_private(path, private_path, page_size(n));
    if (r < 0)
        return se_trace(r);
    stat->fd = r;
    r = map(stat, stat->fd, page_size(n), true);
    if (r == 0) {
        fill(stat, label, n);
        r = publish(private_path, path);
    }
    if (r == 0)
        memcpy(stat->path, path, sizeof path);
    unlink(private_path);
    return r;
}

static struct se_stat *new_stat(void)
{
    struct se_stat *stat = se_mem_zero(1, sizeof *stat);
    if (stat)
        stat->fd = -1;
    return stat;
}

int se_stat_create(struct se_stat **out, const char *name, const struct se_stat_label *label,
                   uint32_t n)
{
    int r = check_labels(label, n);
    if (r < 0)
        return se_trace(r);
    struct se_stat *stat = new_stat();
    if (!stat)
        return se_trace(-ENOMEM);
    if (name) {
        r = create_named(stat, name, label, n);
    } else {
        r = map(stat, -1, page_size(n), true);
        if (r == 0)
            fill(stat, label, n);
    }
    if (r < 0) {
        r = se_trace(r);
        goto out;
    }
    *out = stat;
    stat = NULL;
out:
    se_stat_free(stat);
    return r;
}

static bool is_label(const struct label *label)
{
    return memchr(label->name, '\0', sizeof label->name) &&
           (label->kind == SE_STAT_COUNTER || label->kind == SE_STAT_GAUGE);
}

/* Everything that the functions below rely on. */
static int check_page(struct se_stat *stat, const char *path)
{
    const struct header copy = *stat->header, *header = &copy; /* the page may change */
    if (memcmp(header->magic, magic, sizeof magic))
        return se_fail(-EPROTO, "%s: no page of counters", path);
    if (header->version != VERSION)
        return se_fail(-EPROTO, "%s: version %u, not %d", path, header->version, VERSION);
    if (header->n > SE_STAT_MAX || header->size_b != stat->size_b ||
        page_size(header->n) != stat->size_b)
        return se_fail(-EPROTO, "%s: %u counters do not fit %zu bytes", path, header->n,
                       stat->size_b);
    lay_out(stat, header->n);
    if (header->checksum != checksum(header, stat->label))
        return se_fail(-EPROTO, "%s: damaged: the checksum is wrong", path);
    for (uint32_t i = 0; i < header->n; i++)
        if (!is_label(&stat->label[i]))
            return se_fail(-EPROTO, "%s: damaged: label %u", path, i);
    return 0;
}

int se_stat_open(struct se_stat **out, const char *name)
{
    char path[PATH_B];
    struct stat info;
    int fd = -1, r = path_of(name, path);
    if (r < 0)
        return se_trace(r);
    struct se_stat *stat = new_stat();
    if (!stat)
        return se_trace(-ENOMEM);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) < 0) {
        r = se_fail(-errno, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(info.st_mode) || info.st_size < (off_t)sizeof(struct header) ||
        info.st_size > (off_t)page_size(SE_STAT_MAX)) {
        r = se_fail(-EPROTO, "%s: no page of counters", path);
        goto out;
    }
    r = map(stat, fd, (size_t)info.st_size, false);
    if (r == 0)
        r = check_page(stat, path);
    if (r < 0)
        goto out;
    stat->fd = fd; /* to ask for the writer's lock */
    *out = stat;
    stat = NULL;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    se_stat_free(stat);
    return r;
}

size_t se_stat_image_size(const struct se_stat *stat) { return stat->size_b; }

void se_stat_image(const struct se_stat *stat, void *image)
{
    const size_t fixed_b = page_size(stat->n) - stat->n * sizeof(struct cell);
    memcpy(image, stat->header, fixed_b);
    for (uint32_t i = 0; i < stat->n; i++) {
        const uint64_t line[LINE_B / sizeof(uint64_t)] = { se_stat_get(stat, i) };
        memcpy((char *)image + fixed_b + i * sizeof line, line, sizeof line);
    }
}

int se_stat_open_image(struct se_stat **out, const void *image, size_t size_b, const char *from)
{
    if (size_b < sizeof(struct header) || size_b > page_size(SE_STAT_MAX))
        return se_fail(-EPROTO, "%s: no page of counters", from);
    struct se_stat *stat = new_stat();
    if (!stat)
        return se_trace(-ENOMEM);
    int r = map(stat, -1, size_b, true);
    if (r == 0) {
        memcpy(stat->header, image, size_b);
        r = check_page(stat, from);
    }
    if (r < 0) {
        se_stat_free(stat);
        return se_trace(r);
    }
    *out = stat;
    return 0;
}

void se_stat_free(struct se_stat *stat)
{
    if (!stat)
        return;
    if (stat->path[0] && same_file(stat->path, stat->fd))
        unlink(stat->path);
    if (stat->header)
        munmap(stat->header, stat->size_b);
    if (stat->fd >= 0)
        close(stat->fd);
    se_mem_free(stat);
}

/* relaxed, in all four: each number stands for itself, and nobody may conclude from one that
 * something else in memory has happened. */
void se_stat_add(struct se_stat *stat, uint32_t number, uint64_t amount)
{
    if (number >= stat->n)
        return;
    _Atomic uint64_t *value = &stat->cell[number].value;
    uint64_t before = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, before + amount, memory_order_relaxed);
}

void se_stat_set(struct se_stat *stat, uint32_t number, uint64_t value)
{
    if (number < stat->n)
        atomic_store_explicit(&stat->cell[number].value, value, memory_order_relaxed);
}

void se_stat_add_shared(struct se_stat *stat, uint32_t number, uint64_t amount)
{
    if (number < stat->n)
        atomic_fetch_add_explicit(&stat->cell[number].value, amount, memory_order_relaxed);
}

uint64_t se_stat_get(const struct se_stat *stat, uint32_t number)
{
    if (number >= stat->n)
        return 0;
    return atomic_load_explicit(&stat->cell[number].value, memory_order_relaxed);
}

uint32_t se_stat_count(const struct se_stat *stat) { return stat->n; }

const char *se_stat_name(const struct se_stat *stat, uint32_t number)
{
    return number < stat->n ? stat->label[number].name : "";
}

enum se_stat_kind se_stat_kind(const struct se_stat *stat, uint32_t number)
{
    if (number >= stat->n)
        return SE_STAT_COUNTER;
    return (enum se_stat_kind)stat->label[number].kind;
}

int64_t se_stat_writer(const struct se_stat *stat, uint64_t *started_ns)
{
    if (started_ns)
        *started_ns = stat->header->started_ns;
    return stat->header->writer;
}

/* The writer's lock goes with it, however it ended. */
bool se_stat_is_live(const struct se_stat *stat)
{
    if (flock(stat->fd, LOCK_SH | LOCK_NB) < 0)
        return errno == EWOULDBLOCK;
    flock(stat->fd, LOCK_UN);
    return false;
}
