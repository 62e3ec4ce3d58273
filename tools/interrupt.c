/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t came, ends;

static void on_signal(int number)
{
    if (number == SIGTERM)
        ends = 1;
    came = 1;
}

static void watch(int number)
{
    /* No SA_RESTART: a read from a terminal ends too. Reset: the second signal is deadly. */
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void se_interrupt_watch(void)
{
    watch(SIGINT);
    watch(SIGTERM);
}

bool se_interrupt_came(void) { return came != 0; }

void se_interrupt_met(void)
{
    came = 0;
    watch(SIGINT);
    if (ends) /* asked last, so that one that came meanwhile is not lost */
        came = 1;
}

bool se_interrupt_ends(void) { return ends != 0; }
