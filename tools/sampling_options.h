/* SPDX-License-Identifier: Apache-2.0 */
/* tools/sampling_options.h - the options that say how the token that follows is chosen. */
#ifndef SE_TOOLS_SAMPLING_OPTIONS_H
#define SE_TOOLS_SAMPLING_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/conf.h"
#include "runtime/model/sample.h"

struct se_sampling_options {
    double temp, top_p, min_p;
    uint64_t top_k, seed;
};

/* Rows for options of this type, whose member is a struct se_sampling_options. */
#define SE_SAMPLING_TEMP_ROW(type, member) \
    { \
        "temp", 'T', SE_CONF_REAL, offsetof(type, member.temp), "0", 0, 1000, "T", \
            "temperature; 0: always the likeliest token" \
    }
#define SE_SAMPLING_TOP_K_ROW(type, member) \
    { \
        "top-k", 0, SE_CONF_UINT, offsetof(type, member.top_k), "0", 0, 4294967295.0, "K", \
            "choose among the K likeliest; 0: among all" \
    }
#define SE_SAMPLING_TOP_P_ROW(type, member) \
    { \
        "top-p", 0, SE_CONF_REAL, offsetof(type, member.top_p), "1", 0, 1, "P", \
            "choose among the likeliest that together reach probability P" \
    }
#define SE_SAMPLING_MIN_P_ROW(type, member) \
    { \
        "min-p", 0, SE_CONF_REAL, offsetof(type, member.min_p), "0", 0, 1, "P", \
            "leave out what is less likely than P times the likeliest" \
    }
#define SE_SAMPLING_SEED_ROW(type, member) \
    { \
        "seed", 's', SE_CONF_UINT, offsetof(type, member.seed), "0", 0, 18446744073709551615.0, \
            "N", "of the noise: the same seed, the same text, whatever the number of threads" \
    }

#define SE_SAMPLING_OPTION_ROWS(type, member) \
    SE_SAMPLING_TEMP_ROW(type, member), SE_SAMPLING_TOP_K_ROW(type, member), \
        SE_SAMPLING_TOP_P_ROW(type, member), SE_SAMPLING_MIN_P_ROW(type, member), \
        SE_SAMPLING_SEED_ROW(type, member)

/* 0, or SE_OUTCOME_USAGE with the text naming what is out of range. */
int se_sampling_options_read(const struct se_sampling_options *options,
                             struct se_sampling *sampling);

#endif
