/* SPDX-License-Identifier: Apache-2.0 */
/* tools/rig_options.h - the options that say how a model is made ready to run (tools/rig.h). */
#ifndef SE_TOOLS_RIG_OPTIONS_H
#define SE_TOOLS_RIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/conf.h"

struct se_rig_options {
    uint64_t threads;    /* 0: as many as it may run on */
    int weights;         /* enum se_weights */
    bool preload;        /* copy what could stay mapped */
    const char *backend; /* as se_backend_read() */
    uint64_t tp;         /* ranks; 0 as 1 */
    uint64_t nodes;      /* machines that they are on; 0 as 1 */
    const char *meet;    /* of this machine, where the others come; NULL with one */
};

/* Rows for the options of a program or verb: a struct of this type, whose member is a struct
 * se_rig_options. One by one, for a program with two models of different precision on the same
 * threads; the macro at the end has them all. */
#define SE_RIG_THREADS_ROW(type, member) \
    { \
        "threads", 't', SE_CONF_UINT, offsetof(type, member.threads), "0", 0, 1024, "N", \
            "threads that compute; 0: one for every processor it may run on" \
    }
#define SE_RIG_WEIGHTS_ROW(name, letter, type, member) \
    { \
        (name), (letter), SE_CONF_CHOICE, offsetof(type, member.weights), "stored", 0, 0, \
            "stored|f32|bf16|q8", "precision of the weights; other than stored: converted at load" \
    }
#define SE_RIG_PRELOAD_ROW(type, member) \
    { \
        "preload", 0, SE_CONF_FLAG, offsetof(type, member.preload), NULL, 0, 0, NULL, \
            "copy weights that could stay mapped into huge pages: slower to load, faster to read" \
    }
#define SE_RIG_BACKEND_ROW(type, member) \
    { \
        "backend", 0, SE_CONF_TEXT, offsetof(type, member.backend), "auto", 0, 0, \
            "auto|cpu|cuda[:DEVICE[,DEVICE...]]", \
            "what computes; auto: a GPU where there is one, for each process of --tp; several " \
            "devices are as many processes" \
    }
#define SE_RIG_TP_ROW(type, member) \
    { \
        "tp", 0, SE_CONF_UINT, offsetof(type, member.tp), "1", 1, 64, "N", \
            "processes that share a model, each with a part of the weights and with the threads " \
            "of --threads; 0 there: with its share of the processors" \
    }
#define SE_RIG_NODES_ROWS(type, member) \
    { "nodes", \
      0, \
      SE_CONF_UINT, \
      offsetof(type, member.nodes), \
      "1", \
      1, \
      64, \
      "M", \
      "machines that share the processes of --tp evenly, this one included; on each of the " \
      "others " \
      "se-rank is started" }, \
    { \
        "meet", 0, SE_CONF_TEXT, offsetof(type, member.meet), NULL, 0, 0, "HOST:PORT", \
            "address of this machine where those of --nodes find it; neither encrypted nor " \
            "authenticated: one of a private network" \
    }

/* For a model that nobody would share among processes, such as a draft. */
#define SE_RIG_SMALL_ROWS(type, member) \
    SE_RIG_THREADS_ROW(type, member), SE_RIG_WEIGHTS_ROW("weights", 'w', type, member), \
        SE_RIG_PRELOAD_ROW(type, member), SE_RIG_BACKEND_ROW(type, member)
#define SE_RIG_OPTION_ROWS(type, member) \
    SE_RIG_SMALL_ROWS(type, member), SE_RIG_TP_ROW(type, member), SE_RIG_NODES_ROWS(type, member)

#endif
