/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sched/quiet.h"

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Of linux/prctl.h, which older headers lack. */
enum { DISPATCH = 59, DISPATCH_ON = 1, ALLOW = 0, BLOCK = 1, CALLERS = 24, SYSCALL_B = 2 };

/* Read by the kernel at each system call of its thread. */
static _Thread_local volatile uint8_t selector = ALLOW;
static _Thread_local struct quiet_count *mine;

/* The first fault of all threads. */
static _Atomic bool found;
static struct {
    enum quiet_kind kind;
    long number; /* of the system call */
    const char *name;
    void *caller[CALLERS];
    int n_callers;
} first;

static void note(enum quiet_kind kind, const char *name, long number)
{
    selector = ALLOW; /* what follows may do what it likes */
    mine->n[kind]++;
    if (!atomic_exchange(&found, true)) {
        first.kind = kind;
        first.name = name;
        first.number = number;
        first.n_callers = backtrace(first.caller, CALLERS);
    }
}

static void count(enum quiet_kind kind, const char *name)
{
    if (selector == ALLOW)
        return;
    note(kind, name, 0);
    selector = BLOCK;
}

/* ---- memory: glibc's own by their other names */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *old);

void *malloc(size_t size)
{
    count(QUIET_MEMORY, "malloc");
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count(QUIET_MEMORY, "calloc");
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    count(QUIET_MEMORY, "realloc");
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count(QUIET_MEMORY, "aligned_alloc");
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count(QUIET_MEMORY, "posix_memalign");
    *out = __libc_memalign(align, size);
    return *out ? 0 : 12;
}

void free(void *old)
{
    if (old)
        count(QUIET_MEMORY, "free");
    __libc_free(old);
}

/* ---- locks */

static void *real(void **at, const char *name)
{
    if (!*at)
        *at = dlsym(RTLD_NEXT, name);
    return *at;
}

#define LOCK(name, type) \
    int name(type *lock) \
    { \
        static void *next; \
        int (*call)(type *); \
        *(void **)(&call) = real(&next, #name); \
        count(QUIET_LOCK, #name); \
        return call(lock); \
    }

LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_mutex_trylock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
LOCK(pthread_spin_lock, volatile int)

/* ---- system calls */

/* The call is made again when the handler is left, and then let through. */
static void on_call(int sig, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    (void)sig;
    note(QUIET_SYSTEM, "a system call", info->si_syscall);
    at->uc_mcontext.gregs[REG_RIP] -= SYSCALL_B;
    at->uc_mcontext.gregs[REG_RAX] = info->si_syscall;
}

bool quiet_watch(struct quiet_count *counts)
{
    struct sigaction action = { .sa_sigaction = on_call, .sa_flags = SA_SIGINFO };
    void *warm[1];
    sigset_t ours;
    backtrace(warm, 1); /* loads its library now */
    mine = counts;
    sigemptyset(&ours);
    sigaddset(&ours, SIGSYS);
    return pthread_sigmask(SIG_UNBLOCK, &ours, NULL) == 0 &&
           sigaction(SIGSYS, &action, NULL) == 0 &&
           prctl(DISPATCH, DISPATCH_ON, 0L, 0L, &selector) == 0;
}

void quiet_begin(void)
{
    if (selector == BLOCK)
        return;
    mine->spans++;
    selector = BLOCK;
}

void quiet_end(void) { selector = ALLOW; }

void quiet_tell(void)
{
    if (!atomic_load(&found))
        return;
    fprintf(stderr, "the first: %s", first.name);
    if (first.kind == QUIET_SYSTEM)
        fprintf(stderr, " (%ld)", first.number);
    fprintf(stderr, ", called from\n");
    fflush(stderr);
    backtrace_symbols_fd(first.caller, first.n_callers, STDERR_FILENO);
}

const char *quiet_cannot(void)
{
    /* Off is what a thread is anyway; an old kernel does not know the question. */
    if (prctl(DISPATCH, 0L, 0L, 0L, 0L) < 0)
        return "this kernel has no Syscall User Dispatch (Linux 5.11)";
    return NULL;
}

#else

const char *quiet_cannot(void)
{
    return "memory, locks and system calls are counted on x86-64 and without a sanitizer";
}
bool quiet_watch(struct quiet_count *counts)
{
    (void)counts;
    return false;
}

void quiet_begin(void) {}
void quiet_end(void) {}
void quiet_tell(void) {}

#endif
