/* SPDX-License-Identifier: Apache-2.0 */
/* The token that follows, and the best of a row: runtime/model/sample.h, a block to a row.
 *
 *   logits ─ best ─► greedy: done
 *              │
 *              ├─ cut ─► the kept set, a head of the ranking: in the list when it is short,
 *              │         otherwise all words of the row up to a bound
 *              │           ├─ VERDICT: the largest x / temp + noise
 *              │           └─ TOPK:    scores ─► ranked again ─► the best k, and log_softmax
 *              └─ TOPK without settings: the best k of the logits themselves */
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/noise.h"
#include "kernels/cuda/rank.h"

/* What is the same for all entries of a row. */
struct settings {
    uint64_t seed;
    uint32_t position; /* of the token that follows */
    float inv_t;       /* as the CPU rounds it */
    float sharpen;
};

/* What stays of a row: all words up to the bound, and these are list[0 .. n - 1] if listed. */
struct kept {
    uint64_t bound;
    bool listed;
    uint32_t n;
};

/* ---- the cut */

/* The last word that a value of at least min_p times the best has. */
static __device__ uint64_t bound_of_min_p(const struct se_gpu_part *part, float best)
{
    double threshold = (double)best + part->temp * log(part->min_p);
    float least = (float)threshold;
    if (!(threshold > -3e38))
        return RANK_NONE;
    uint64_t bound = rank_word(least, UINT32_MAX);
    return (double)least < threshold ? bound - ((uint64_t)1 << 32) : bound;
}

/* An entry stays while those before it weigh less than that. */
static __device__ inline uint64_t share_of(double share, uint64_t whole)
{
    uint64_t target = (uint64_t)ceil(share * (double)whole);
    return target < whole ? target : whole;
}

/* How many of the n best in the list are a head of the given mass; *all: what the n weigh. */
static __device__ uint32_t head_of_list(const struct rank_memory *memory,
                                        const struct rank_row *row, uint32_t n, uint64_t target,
                                        double share, uint64_t *all)
{
    uint32_t i = threadIdx.x;
    uint64_t mass = i < n ? rank_mass(row, rank_value(memory->list[i])) : 0;
    uint64_t before = rank_scan(memory, mass, all);
    if (target == 0) /* a share of the list itself */
        target = share < 1 ? share_of(share, *all) : RANK_NONE;
    return (uint32_t)rank_sum(memory, i < n && before < target);
}

/* The best top_k, at most RANK_SHORT, and of these a head with top_p of their mass. */
static __device__ struct kept cut_best(const struct rank_memory *memory, const struct rank_row *row,
                                       uint64_t own, const struct se_gpu_part *part)
{
    uint64_t all;
    uint32_t n = rank_list(memory, row, own, part->top_k, RANK_NONE, NULL);
    n = head_of_list(memory, row, n, 0, part->top_p, &all);
    return { memory->list[n - 1], true, n };
}

/* A head with top_p of the mass of all up to a bound: short or long. */
static __device__ struct kept cut_mass(const struct rank_memory *memory, const struct rank_row *row,
                                       uint64_t own, uint64_t within, double top_p)
{
    uint64_t whole, all;
    uint32_t n = rank_list(memory, row, own, RANK_SHORT, within, &whole);
    uint64_t target = share_of(top_p, whole);
    uint32_t stay = head_of_list(memory, row, n, target, 1, &all);
    if (all >= target)
        return { memory->list[stay - 1], true, stay };
    /* Those that weigh less than that are together less than what is cut. */
    uint64_t least = (whole - target) / row->n;
    const struct rank_search search = { false, target, within, least };
    return { rank_find(memory, row, &search), false, 0 };
}

static __device__ struct kept cut(const struct rank_memory *memory, const struct rank_row *row,
                                  uint64_t own, const struct se_gpu_part *part)
{
    struct kept kept = { RANK_NONE, false, 0 };
    bool limited = part->top_k > 0 && part->top_k < row->n;
    if (part->top_k > 0 && part->top_k <= RANK_SHORT) {
        kept = cut_best(memory, row, own, part);
    } else {
        if (limited) {
            const struct rank_search search = { true, part->top_k, RANK_NONE, 0 };
            kept.bound = rank_find(memory, row, &search);
        }
        if (part->top_p < 1)
            kept = cut_mass(memory, row, own, kept.bound, part->top_p);
    }
    if (part->min_p > 0) {
        if (threadIdx.x == 0)
            memory->found[0] = bound_of_min_p(part, row->best);
        __syncthreads();
        kept.bound = min(kept.bound, (uint64_t)memory->found[0]);
        uint32_t i = threadIdx.x;
        kept.n = (uint32_t)rank_sum(memory, i < kept.n && memory->list[i] <= kept.bound);
    }
    return kept;
}

/* ---- the draw */

static __device__ inline float noisy(const struct settings *settings, float value, uint32_t token)
{
    return value * settings->inv_t + se_gpu_noise_of(settings->seed, settings->position, token);
}

/* Of four entries that hold a possible winner: the better of them and of the best so far. */
static __device__ inline uint64_t draw_four(const struct settings *settings,
                                            const struct rank_four *four, uint32_t at,
                                            uint64_t bound, uint64_t best)
{
    const struct se_gpu_words words =
        se_gpu_noise_words(settings->seed, settings->position, at / 4);
    float best_score = rank_value(best);
    for (uint32_t i = 0; i < 4; i++) {
        float value = four->value[i], scaled = value * settings->inv_t;
        if (value == -INFINITY || scaled + se_gpu_noise_bound(words.word[i]) < best_score ||
            rank_word(value, at + i) > bound)
            continue;
        uint64_t word = rank_word(scaled + se_gpu_noise(words.word[i]), at + i);
        if (word < best) {
            best = word;
            best_score = rank_value(best);
        }
    }
    return best;
}

/* Rounding is monotone: where a bound of the noise does not reach the best score so far, the
 * noise does not either. The search begins with the score of the largest logit, which stays. */
static __device__ uint64_t draw_of_row(const struct settings *settings, const struct rank_row *row,
                                       uint64_t bound, uint32_t largest)
{
    uint64_t best = rank_word(noisy(settings, row->best, largest), largest);
    for (uint32_t at = 4 * threadIdx.x; at < row->n; at += 4 * RANK_THREADS) {
        const struct rank_four four = rank_load(row, at);
        float most =
            fmaxf(fmaxf(four.value[0], four.value[1]), fmaxf(four.value[2], four.value[3]));
        if (most * settings->inv_t + SE_GPU_NOISE_MOST >= rank_value(best) &&
            rank_word(most, 0) <= bound)
            best = draw_four(settings, &four, at, bound, best);
    }
    return best;
}

static __device__ uint32_t draw(const struct rank_memory *memory, const struct settings *settings,
                                const struct rank_row *row, const struct kept *kept,
                                uint32_t largest)
{
    uint64_t best = RANK_NONE;
    if (!kept->listed) {
        best = draw_of_row(settings, row, kept->bound, largest);
    } else if (threadIdx.x < kept->n) {
        uint64_t word = memory->list[threadIdx.x];
        uint32_t token = rank_index(word);
        best = rank_word(noisy(settings, rank_value(word), token), token);
    }
    return rank_index(rank_min(memory, best));
}

/* ---- the best k */

struct best_k {
    uint32_t *id;
    float *logprob;
    uint32_t k;
};

/* The list holds n, and more than k of them or all there are; whole: what all entries weigh. */
static __device__ void write_best(const struct rank_memory *memory, const struct rank_row *row,
                                  uint32_t n, uint64_t whole, const struct best_k *to)
{
    uint32_t i = threadIdx.x, inside = n < to->k ? n : to->k, below = 0;
    if (i >= to->k)
        return;
    if (i < inside) {
        uint64_t word = memory->list[i];
        float sum = (float)((double)row->best + log((double)whole * 0x1p-42));
        to->id[i] = rank_index(word);
        to->logprob[i] = rank_value(word) - sum;
    }
    /* Behind the kept ones come those that were cut, by index. */
    for (uint32_t j = 0; j < inside; j++) {
        if (inside == to->k || rank_index(memory->list[j]) == i)
            return;
        below += rank_index(memory->list[j]) < i;
    }
    if (inside + i - below < to->k) {
        to->id[inside + i - below] = i;
        to->logprob[inside + i - below] = -INFINITY;
    }
}

/* The best k of a row as it is; own: the best word that this thread reads. */
static __device__ void rank_row_best(const struct rank_memory *memory, struct rank_row *row,
                                     uint64_t own, uint64_t first, const struct best_k *to)
{
    uint64_t whole;
    row->best = rank_value(first);
    row->scale = RANK_LOG2E;
    row->scale_low = RANK_LOG2E_LOW;
    uint32_t n = rank_list(memory, row, own, to->k, RANK_NONE, &whole);
    write_best(memory, row, n, whole, to);
}

static __device__ inline float score_of(const struct settings *settings, float value,
                                        uint32_t token)
{
    if (settings->sharpen == 0)
        return value * settings->inv_t;
    return noisy(settings, value, token) * settings->sharpen;
}

/* The best k of the kept ones, which are listed. */
static __device__ void rank_listed(const struct rank_memory *memory,
                                   const struct settings *settings, struct rank_row *row,
                                   const struct kept *kept, const struct best_k *to)
{
    uint32_t i = threadIdx.x;
    __syncthreads(); /* all have read the bound in the list */
    if (i < kept->n) {
        uint64_t word = memory->list[i];
        uint32_t token = rank_index(word);
        memory->list[i] = rank_word(score_of(settings, rank_value(word), token), token);
    }
    rank_sort_list(memory, kept->n);
    bool stays = i < kept->n && memory->list[i] < RANK_CUT; /* a score may overflow */
    uint32_t n = (uint32_t)rank_sum(memory, stays);
    row->best = rank_value(memory->list[0]);
    row->scale = RANK_LOG2E;
    row->scale_low = RANK_LOG2E_LOW;
    uint64_t mass = stays ? rank_mass(row, rank_value(memory->list[i])) : 0;
    write_best(memory, row, n, rank_sum(memory, mass), to);
}

/* The best k of a kept set that is too long for the list: the row becomes that of the scores. */
static __device__ void rank_long(const struct rank_memory *memory, const struct settings *settings,
                                 struct rank_row *row, float *x, uint64_t bound,
                                 const struct best_k *to)
{
    for (uint32_t at = 4 * threadIdx.x; at < row->n; at += 4 * RANK_THREADS) {
        for (uint32_t i = at; i < at + 4 && i < row->n; i++) {
            bool stays = rank_word(x[i], i) <= bound && x[i] > -INFINITY;
            x[i] = stays ? score_of(settings, x[i], i) : -INFINITY;
        }
    }
    uint64_t own = rank_own_best(row); /* of the entries that this thread has written */
    rank_row_best(memory, row, own, rank_min(memory, own), to);
}

/* ---- the row */

/* The divisions are in double, which some processors have little of: one thread does them. */
static __device__ void set_temperature(const struct rank_memory *memory,
                                       const struct se_gpu_part *part, struct settings *settings,
                                       struct rank_row *row)
{
    if (threadIdx.x == 0) {
        double inv_t = 1 / part->temp, scale = inv_t * 1.4426950408889634;
        memory->low[0] = __float_as_uint((float)inv_t);
        memory->low[1] = __float_as_uint((float)scale);
        memory->low[2] = __float_as_uint((float)(scale - (double)(float)scale));
    }
    __syncthreads();
    settings->inv_t = __uint_as_float(memory->low[0]);
    row->scale = __uint_as_float(memory->low[1]);
    row->scale_low = __uint_as_float(memory->low[2]);
    __syncthreads();
}

static __device__ void answer(const struct rank_memory *memory, const struct se_gpu_input *in,
                              uint32_t number, float *x, uint32_t n, struct se_gpu_output *out)
{
    const struct se_gpu_part *part = &in->part[in->row[number].part];
    struct settings settings = { part->seed, in->row[number].position + 1, 0, part->sharpen };
    struct rank_row row = { x, n, 0, 0, 0 };
    const struct best_k to = { out->topk_id + (size_t)number * SE_GPU_TOPK_MAX,
                               out->topk_logprob + (size_t)number * SE_GPU_TOPK_MAX,
                               part->k < n ? part->k : n };
    bool drawn = part->want == SE_GPU_VERDICT;
    uint64_t own = rank_own_best(&row), first = rank_min(memory, own);
    if (first == 0 || first == RANK_NONE) {
        if (threadIdx.x == 0)
            atomicMax(&out->fault, ~number);
        return;
    }
    uint32_t token = rank_index(first);
    row.best = rank_value(first);
    if (part->cuts) {
        set_temperature(memory, part, &settings, &row);
        const struct kept kept = cut(memory, &row, own, part);
        if (drawn)
            token = draw(memory, &settings, &row, &kept, token);
        else if (kept.listed)
            rank_listed(memory, &settings, &row, &kept, &to);
        else
            rank_long(memory, &settings, &row, x, kept.bound, &to);
    } else if (!drawn) {
        rank_row_best(memory, &row, own, first, &to);
    }
    if (drawn && threadIdx.x == 0)
        out->sampled[number] = token;
}

static __global__ void __launch_bounds__(RANK_THREADS)
    sample(const struct se_gpu_input *in, float *logits, uint32_t n, struct se_gpu_output *out)
{
    SE_SHARED_ARRAY(uint64_t, list, RANK_LIST);
    SE_SHARED_ARRAY(uint64_t, of_warp, RANK_WARPS);
    SE_SHARED_ARRAY(uint32_t, low, RANK_DIGITS);
    SE_SHARED_ARRAY(uint32_t, high, RANK_DIGITS);
    SE_SHARED_ARRAY(uint64_t, found, 3);
    SE_SHARED_ARRAY(uint32_t, count, 1);
    if (blockIdx.x >= in->n_wanted)
        return;
    const struct rank_memory memory = { list, of_warp, low, high, found, count };
    uint32_t number = in->wanted[blockIdx.x];
    uint32_t want = in->part[in->row[number].part].want;
    if (want == SE_GPU_TOPK || want == SE_GPU_VERDICT)
        answer(&memory, in, number, logits + (size_t)blockIdx.x * n, n, out);
}

void se_gpu_sample(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   float *logits, uint32_t vocab, struct se_gpu_output *out)
{
    SE_LAUNCH(stream, sample, bucket, RANK_THREADS, in, logits, vocab, out);
}
