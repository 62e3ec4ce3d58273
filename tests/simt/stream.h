/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/stream.h - what is to be done on a device, in order, and not before somebody waits.
 *
 * That it is done as late as can be shows who reads a result, or writes over an argument, without
 * having waited. A stream that captures puts down what it is given, with the arguments as they
 * are then, instead of doing it. */
#ifndef SE_TESTS_SIMT_STREAM_H
#define SE_TESTS_SIMT_STREAM_H

#include <deque>
#include <functional>
#include <vector>

typedef std::function<void()> simt_work;

/* By CUDA's own name: kernels/cuda/kernels.h is C, and knows no other. */
struct CUstream_st {
    std::deque<simt_work> queue;
    std::vector<simt_work> *captures; /* NULL: it does not */
    bool spoilt;                      /* by what cannot be captured */
};

/* Does it at once when the stream is NULL. */
void simt_stream_add(struct CUstream_st *stream, simt_work work);

/* Of work that is being done: it waits for others, and is to be done again later. */
void simt_stream_again(void);

#endif
