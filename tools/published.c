/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/published.h"

/* What both sides pass over, and why. */
static const char no_opt[] = "chooses timers of the Python program; there are none here";
static const char no_ssh[] = "nothing is started over ssh; start each program on its machine";
static const char no_name[] = "processes need no names here";
static const char no_node[] = "edges are not started from here; run se-run on each machine";
static const char no_device[] = "see --backend for what computes";
static const char no_result_path[] = "no folder is made; --result names the file of records";
static const char no_exp_name[] = "part of a folder's name there; --result names the file";

/* Their fp16 runs what is stored as 16 bits; so do stored weights here, without a conversion. */
#define DTYPE "fp16=stored|bf16=bf16|fp32=f32"

const struct se_conf_foreign se_published_server[] = {
    { "version" },
    { "opt", .note = no_opt },
    { "base.result_path" }, /* the edge's */
    { "base.exp_name" },
    { "base.dtype", "weights", DTYPE },
    { "base.seed" }, /* every edge brings its own */
    { "base.ssh_key", .note = no_ssh },
    { "base.max_len", "context" },
    { "server.process_name", .note = no_name },
    { "server.target_model", "model" },
    { "server.device", .note = no_device },
    { "server.temperature", .note = "every edge brings its own; se-run reads it from here" },
    { "server.max_batch_size", "max-batch" },
    { "server.num_clients", .note = "sessions come and go; see max-sessions" },
    { "server.batch_type", "policy", "static|dynamic" },
    { "server.cache_prefill", .note = "prompts are computed when they come, beside the rounds" },
    { "client" }, /* the edge's */
    { "node", .note = no_node },
};
const size_t se_published_server_n = sizeof se_published_server / sizeof *se_published_server;

const struct se_conf_foreign se_published_edge[] = {
    { "version" },
    { "opt", .note = no_opt },
    { "base.result_path", .note = no_result_path },
    { "base.exp_name", .note = no_exp_name },
    { "base.dtype", "weights", DTYPE },
    { "base.seed", "seed" },
    { "base.ssh_key", .note = no_ssh },
    { "base.max_len", "context" },
    { "server.process_name" }, /* the server's, but for the temperature */
    { "server.target_model" },
    { "server.device" },
    { "server.temperature", "temp" },
    { "server.max_batch_size" },
    { "server.num_clients" },
    { "server.batch_type" },
    { "server.cache_prefill" },
    { "client.host", "server", "*=tcp://*" },
    { "client.process_name", .note = no_name },
    { "client.device", .note = no_device },
    { "client.draft_model", "draft" },
    { "client.dataset", "dataset" },
    { "client.reasoning", .note = "prompts are laid out as the model's own template does" },
    { "client.sample_req_cnt", "stride" },
    { "client.req_offset", "offset" },
    { "client.max_n_beams", "max-n-beams" },
    { "client.max_beam_len", "max-beam-len" },
    { "client.max_branch_width", "max-branch-width" },
    { "client.max_budget", "max-budget" },
    { "client.proactive.type", "proactive", "excluded|included|disabled" },
    { "client.proactive.max_n_beams", "proactive-max-n-beams" },
    { "client.proactive.max_beam_len", "proactive-max-beam-len" },
    { "client.proactive.max_branch_width", "proactive-max-branch-width" },
    { "client.proactive.max_budget", "proactive-max-budget" },
    { "client.max_batch_size", .note = "an edge drafts for its one user" },
    { "client.max_new_tokens", "tokens" },
    { "client.max_request_num", "max-requests", "-1=0|*" }, /* -1 there, 0 here: all */
    { "node", .note = no_node },
};
const size_t se_published_edge_n = sizeof se_published_edge / sizeof *se_published_edge;
