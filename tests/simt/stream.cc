/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include <utility>

#include "tests/simt/stream.h"

void simt_stream_add(struct CUstream_st *stream, simt_work work)
{
    if (stream == NULL)
        work();
    else if (stream->captures != NULL)
        stream->captures->push_back(std::move(work));
    else
        stream->queue.push_back(std::move(work));
}
