/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/edge/plan.h"

static const float GAIN_FIRST = 0.7f, WEIGHT = 1 / 8.0f;
static const float PLAIN_OVER = 1.05f; /* from push to push, over the step */

void se_plan_init(struct se_plan *plan)
{
    *plan = (struct se_plan){ .scale = 1, .gain = GAIN_FIRST, .load = 1 };
}

static void mean(float *of, float value) { *of += *of == 0 ? value : (value - *of) * WEIGHT; }

void se_plan_welcome(struct se_plan *plan, const struct se_wire_welcome *welcome, uint64_t trip_ns)
{
    for (uint32_t i = 0; i < SE_WIRE_COSTS; i++)
        plan->cost_ns[i] = (float)welcome->cost_us[i] * 1e3f;
    plan->scale = 1; /* it was learned about the costs before */
    if (trip_ns > 0)
        mean(&plan->trip_ns, (float)trip_ns);
}

void se_plan_note_level(struct se_plan *plan, uint64_t ns) { mean(&plan->level_ns, (float)ns); }

void se_plan_note_gain(struct se_plan *plan, float before, float added)
{
    if (before > 0)
        plan->gain += (added / before - plan->gain) * WEIGHT;
}

/* The table of WELCOME, with straight lines between its points, and on behind the last. */
static float table_ns(const struct se_plan *plan, float rows)
{
    float at = 1;
    uint32_t i = 0;
    while (i + 2 < SE_WIRE_COSTS && rows > 4 * at && plan->cost_ns[i + 2] > 0) {
        at *= 4;
        i++;
    }
    float low = plan->cost_ns[i], high = plan->cost_ns[i + 1];
    if (high <= 0)
        return low;
    float ns = low + (high - low) * (rows - at) / (3 * at);
    return ns > plan->cost_ns[0] ? ns : plan->cost_ns[0];
}

float se_plan_step_ns(const struct se_plan *plan, uint32_t rows)
{
    return plan->scale * table_ns(plan, (float)rows * (float)plan->load);
}

void se_plan_note_answer(struct se_plan *plan, const struct se_wire_result *result, uint32_t rows,
                         uint64_t trip_ns, bool prompt)
{
    float told = table_ns(plan, (float)rows), took = (float)result->step_us * 1e3f;
    plan->load = result->load > 0 ? result->load : 1;
    if (!prompt)
        mean(&plan->queue_ns, (float)result->queue_us * 1e3f);
    if (trip_ns > 0)
        mean(&plan->trip_ns, (float)trip_ns);
    if (rows > 1)
        mean(&plan->verify_ns, took + (prompt ? 0 : (float)result->queue_us * 1e3f));
    /* Alone at the server, the step was ours: contexts grow, machines slow down. */
    if (told > 0 && plan->load == 1 && took > 0)
        plan->scale += (took / told - plan->scale) * WEIGHT;
    plan->rounds++;
}

void se_plan_note_push(struct se_plan *plan, uint64_t ns)
{
    mean(&plan->plain_ns, (float)ns);
    plan->pushes++;
}

void se_plan_note_round(struct se_plan *plan, uint32_t tokens, uint64_t ns)
{
    if (ns > 0)
        mean(&plan->tree_rate, (float)tokens / (float)ns);
}

static float rate_of(const struct se_plan *plan, float tokens, uint32_t nodes, float drafted_ns)
{
    float ns = drafted_ns + plan->trip_ns + plan->queue_ns + se_plan_step_ns(plan, nodes + 1);
    return tokens / (ns > 1 ? ns : 1);
}

uint32_t se_plan_budget(const struct se_plan *plan, const float *likely, uint32_t n,
                        uint64_t drafted_ns, float *rate)
{
    float tokens = 1, best = rate_of(plan, 1, 0, (float)drafted_ns);
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++) {
        tokens += likely[i];
        float here = rate_of(plan, tokens, i + 1, (float)drafted_ns);
        if (here > best) {
            best = here;
            most = i + 1;
        }
    }
    *rate = best;
    return most;
}

bool se_plan_deeper(const struct se_plan *plan, const float *likely, uint32_t n,
                    uint64_t drafted_ns, float frontier)
{
    float now, tokens = 1, more = frontier * plan->gain;
    uint32_t most = se_plan_budget(plan, likely, n, drafted_ns, &now);
    for (uint32_t i = 0; i < most; i++)
        tokens += likely[i];
    /* What it would add, in about as many nodes as tokens of that likelihood take. */
    uint32_t nodes = most + 1 + (uint32_t)(2 * more);
    return rate_of(plan, tokens + more, nodes, (float)drafted_ns + plan->level_ns) > now;
}

uint32_t se_plan_matched(const struct se_plan *plan)
{
    float verify_ns = plan->verify_ns > 0 ? plan->verify_ns : se_plan_step_ns(plan, 33);
    if (plan->level_ns <= 0 || verify_ns <= plan->trip_ns + plan->level_ns)
        return 1;
    return (uint32_t)((verify_ns - plan->trip_ns) / plan->level_ns + 0.5f);
}

float se_plan_plain_rate(const struct se_plan *plan)
{
    /* As it would be if all were plain: others' trees make plain decoding slow as well, and
     * whoever compares with that makes it slower still. */
    float step = PLAIN_OVER * se_plan_step_ns(plan, 1);
    float ns = plan->plain_ns > 0 && (plan->plain_ns < step || step == 0) ? plan->plain_ns : step;
    return 1 / (ns > 1 ? ns : 1);
}
