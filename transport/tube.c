/* SPDX-License-Identifier: Apache-2.0 */
/*   line:   ... | length frame ......... | length frame | free ...
 *               ▲ head, the reader's                    ▲ tail, the writer's
 *
 * Each end knows by itself where it is, and of the other's count only the difference to its
 * own matters. So counts may go round at 2^32 though the tube is no power of two long, and a
 * wrong count can make an end believe that there is room or that there is a frame, but never
 * make it leave the tube.
 *
 * "The reader sleeps" is a bit of the word that the writer exchanges for its new tail. With
 * two words both could look before either writes, and the reader would sleep on a frame. */
#include "transport/tube.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static uint32_t lines_of(uint32_t len_b)
{
    return (SE_TUBE_LENGTH_B + len_b - 1) / SE_TUBE_LINE_B + 1;
}

static uint32_t after(uint32_t at_b, uint32_t step_b)
{
    return at_b + step_b < SE_TUBE_B ? at_b + step_b : at_b + step_b - SE_TUBE_B;
}

/* How much of len_b bytes from at_b on lies before the tube's end. */
static uint32_t before_end(uint32_t at_b, uint32_t len_b)
{
    return len_b < SE_TUBE_B - at_b ? len_b : SE_TUBE_B - at_b;
}

static void advance(struct se_tube_end *end, uint32_t lines)
{
    end->at_b = after(end->at_b, lines * SE_TUBE_LINE_B);
    end->lines += lines;
    end->frames++;
}

/* ---- the writer */

static bool has_room(const struct se_tube_end *w, uint32_t lines, uint32_t frames_max)
{
    return w->lines - w->seen_lines + lines <= SE_TUBE_LINES &&
           w->frames - w->seen_frames < frames_max;
}

/* How far the reader is. It takes what there is, and does not give it back. */
static bool look_at_head(struct se_tube_end *w)
{
    /* [tube.free] acquire, pairs with the release in se_tube_take(): a line is written again
     * only when it has been read. */
    const uint64_t head = atomic_load_explicit(&w->tube->head, memory_order_acquire);
    const uint32_t lines = (uint32_t)head, frames = (uint32_t)(head >> 32);
    if (w->lines - lines > w->lines - w->seen_lines ||
        w->frames - frames > w->frames - w->seen_frames)
        return false;
    w->seen_lines = lines;
    w->seen_frames = frames;
    return true;
}

int se_tube_put(struct se_tube_end *writer, const void *data, uint32_t len_b, uint32_t frames_max)
{
    const uint32_t lines = lines_of(len_b), at_b = after(writer->at_b, SE_TUBE_LENGTH_B);
    const uint32_t first_b = before_end(at_b, len_b);
    unsigned char *line = writer->tube->line;
    if (!has_room(writer, lines, frames_max)) {
        if (!look_at_head(writer))
            return SE_TUBE_BROKEN;
        if (!has_room(writer, lines, frames_max))
            return SE_TUBE_FULL;
    }
    memcpy(line + writer->at_b, &len_b, SE_TUBE_LENGTH_B);
    memcpy(line + at_b, data, first_b);
    memcpy(line, (const unsigned char *)data + first_b, len_b - first_b);
    advance(writer, lines);
    /* [tube.fill] release, pairs with the acquire in se_tube_next(): whoever sees the new
     * tail sees the frame. [tube.sleep] an exchange, which comes before or after the one in
     * se_tube_sleep(): then the reader sees the frame, or the writer sees that it sleeps. */
    const uint64_t was =
        atomic_exchange_explicit(&writer->tube->tail, writer->lines, memory_order_release);
    return was & SE_TUBE_SLEEPS ? SE_TUBE_ASLEEP : 0;
}

/* ---- the reader */

static bool look_at_tail(struct se_tube_end *r)
{
    /* [tube.fill] acquire, pairs with the release in se_tube_put(). */
    const uint64_t tail = atomic_load_explicit(&r->tube->tail, memory_order_acquire);
    if ((tail & ~SE_TUBE_SLEEPS) > UINT32_MAX || (uint32_t)tail - r->lines > SE_TUBE_LINES)
        return false;
    r->seen_lines = (uint32_t)tail;
    return true;
}

/* Byte by byte, each once: the writer may be writing. */
static uint32_t read_length(const struct se_tube_end *r)
{
    const volatile unsigned char *at = r->tube->line + r->at_b;
    unsigned char bytes[SE_TUBE_LENGTH_B];
    uint32_t len_b;
    for (int i = 0; i < SE_TUBE_LENGTH_B; i++)
        bytes[i] = at[i];
    memcpy(&len_b, bytes, sizeof(len_b));
    return len_b;
}

int se_tube_next(struct se_tube_end *reader, uint32_t max_b, uint32_t *len_b)
{
    if (reader->next_b == 0) {
        if (reader->seen_lines == reader->lines && !reader->last && !look_at_tail(reader))
            return SE_TUBE_BROKEN;
        const uint32_t there = reader->seen_lines - reader->lines;
        if (there == 0)
            return SE_TUBE_EMPTY;
        const uint32_t length_b = read_length(reader);
        if (length_b == 0 || length_b > max_b || lines_of(length_b) > there)
            return SE_TUBE_BROKEN;
        reader->next_b = length_b;
    }
    *len_b = reader->next_b;
    return 0;
}

void se_tube_take(struct se_tube_end *reader, void *data)
{
    const uint32_t at_b = after(reader->at_b, SE_TUBE_LENGTH_B), len_b = reader->next_b;
    const uint32_t first_b = before_end(at_b, len_b);
    memcpy(data, reader->tube->line + at_b, first_b);
    memcpy((unsigned char *)data + first_b, reader->tube->line, len_b - first_b);
    advance(reader, lines_of(len_b));
    reader->next_b = 0;
    /* [tube.free] release, pairs with the acquire in look_at_head(). */
    atomic_store_explicit(&reader->tube->head, (uint64_t)reader->frames << 32 | reader->lines,
                          memory_order_release);
}

bool se_tube_has(const struct se_tube_end *reader)
{
    if (reader->seen_lines != reader->lines || reader->last)
        return reader->seen_lines != reader->lines;
    /* relaxed: next() looks again before anything is read. */
    return (atomic_load_explicit(&reader->tube->tail, memory_order_relaxed) & ~SE_TUBE_SLEEPS) !=
           reader->lines;
}

bool se_tube_sleep(struct se_tube_end *reader)
{
    if (reader->seen_lines != reader->lines || reader->last)
        return reader->seen_lines == reader->lines;
    /* [tube.sleep] relaxed on success: the tube is empty, so there is nothing to see. The same
     * on failure, because next() reads that tail again. */
    uint64_t tail = reader->lines;
    return atomic_compare_exchange_strong_explicit(&reader->tube->tail, &tail,
                                                   tail | SE_TUBE_SLEEPS, memory_order_relaxed,
                                                   memory_order_relaxed) ||
           tail == (reader->lines | SE_TUBE_SLEEPS);
}

void se_tube_end(struct se_tube_end *reader)
{
    if (!reader->last && !look_at_tail(reader))
        reader->seen_lines = reader->lines;
    reader->last = true;
}
