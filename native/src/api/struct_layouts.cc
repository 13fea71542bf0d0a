#include "api/struct_layouts.h"

#include "ds4.h"

namespace ds4::api {
namespace {

#define DS4_FIELD(type, field) {#field, offsetof(type, field), sizeof(type::field)}

constexpr StructField kShape[] = {
    DS4_FIELD(ds4_shape, struct_bytes),
    DS4_FIELD(ds4_shape, layers),
    DS4_FIELD(ds4_shape, hidden),
    DS4_FIELD(ds4_shape, vocab),
    DS4_FIELD(ds4_shape, heads),
    DS4_FIELD(ds4_shape, head_dim),
    DS4_FIELD(ds4_shape, rope_dim),
    DS4_FIELD(ds4_shape, q_lora_rank),
    DS4_FIELD(ds4_shape, o_groups),
    DS4_FIELD(ds4_shape, o_lora_rank),
    DS4_FIELD(ds4_shape, experts),
    DS4_FIELD(ds4_shape, experts_per_token),
    DS4_FIELD(ds4_shape, moe_intermediate_size),
    DS4_FIELD(ds4_shape, hash_layers),
    DS4_FIELD(ds4_shape, sliding_window),
    DS4_FIELD(ds4_shape, index_heads),
    DS4_FIELD(ds4_shape, index_head_dim),
    DS4_FIELD(ds4_shape, index_top_k),
    DS4_FIELD(ds4_shape, streams),
    DS4_FIELD(ds4_shape, sinkhorn_iterations),
    DS4_FIELD(ds4_shape, context_tokens),
    DS4_FIELD(ds4_shape, normalise_weights),
    DS4_FIELD(ds4_shape, norm_epsilon),
    DS4_FIELD(ds4_shape, hc_epsilon),
    DS4_FIELD(ds4_shape, rope_theta),
    DS4_FIELD(ds4_shape, compress_rope_theta),
    DS4_FIELD(ds4_shape, yarn_factor),
    DS4_FIELD(ds4_shape, yarn_beta_fast),
    DS4_FIELD(ds4_shape, yarn_beta_slow),
    DS4_FIELD(ds4_shape, yarn_original_tokens),
    DS4_FIELD(ds4_shape, routed_scale),
    DS4_FIELD(ds4_shape, layer_options_bytes),
    DS4_FIELD(ds4_shape, tensor_bytes),
};
constexpr StructField kLayerOptions[] = {
    DS4_FIELD(ds4_layer_options, compress_ratio),
    DS4_FIELD(ds4_layer_options, swiglu_limit),
    DS4_FIELD(ds4_layer_options, shared_swiglu_limit),
    DS4_FIELD(ds4_layer_options, reserved),
};
constexpr StructField kTensor[] = {
    DS4_FIELD(ds4_tensor, kind),        DS4_FIELD(ds4_tensor, layer),
    DS4_FIELD(ds4_tensor, expert),      DS4_FIELD(ds4_tensor, type),
    DS4_FIELD(ds4_tensor, rows),        DS4_FIELD(ds4_tensor, cols),
    DS4_FIELD(ds4_tensor, depth),       DS4_FIELD(ds4_tensor, file),
    DS4_FIELD(ds4_tensor, scale_file),  DS4_FIELD(ds4_tensor, offset),
    DS4_FIELD(ds4_tensor, bytes),       DS4_FIELD(ds4_tensor, scale_offset),
    DS4_FIELD(ds4_tensor, scale_bytes), DS4_FIELD(ds4_tensor, name_offset),
    DS4_FIELD(ds4_tensor, reserved),
};
constexpr StructField kLoadProgress[] = {
    DS4_FIELD(ds4_load_progress, done_bytes),
    DS4_FIELD(ds4_load_progress, total_bytes),
    DS4_FIELD(ds4_load_progress, cancel),
    DS4_FIELD(ds4_load_progress, reserved),
};
constexpr StructField kEngineOptions[] = {
    DS4_FIELD(ds4_engine_options, struct_bytes),    DS4_FIELD(ds4_engine_options, numerics),
    DS4_FIELD(ds4_engine_options, switches),        DS4_FIELD(ds4_engine_options, isa),
    DS4_FIELD(ds4_engine_options, threads),         DS4_FIELD(ds4_engine_options, max_step_tokens),
    DS4_FIELD(ds4_engine_options, experts),         DS4_FIELD(ds4_engine_options, expert_numerics),
    DS4_FIELD(ds4_engine_options, expert_threads),  DS4_FIELD(ds4_engine_options, expert_parts),
    DS4_FIELD(ds4_engine_options, expert_layers),   DS4_FIELD(ds4_engine_options, session_tokens),
    DS4_FIELD(ds4_engine_options, expert_library),  DS4_FIELD(ds4_engine_options, progress),
    DS4_FIELD(ds4_engine_options, step_item_bytes), DS4_FIELD(ds4_engine_options, job_token_bytes),
    DS4_FIELD(ds4_engine_options, backend),         DS4_FIELD(ds4_engine_options, reserved),
};
constexpr StructField kSessionOptions[] = {
    DS4_FIELD(ds4_session_options, struct_bytes),
    DS4_FIELD(ds4_session_options, context_tokens),
    DS4_FIELD(ds4_session_options, mark),
};
constexpr StructField kStepItem[] = {
    DS4_FIELD(ds4_step_item, session),
    DS4_FIELD(ds4_step_item, token_count),
    DS4_FIELD(ds4_step_item, logits),
};
constexpr StructField kSampling[] = {
    DS4_FIELD(ds4_sampling, struct_bytes), DS4_FIELD(ds4_sampling, temperature),
    DS4_FIELD(ds4_sampling, top_p),        DS4_FIELD(ds4_sampling, min_p),
    DS4_FIELD(ds4_sampling, top_k),        DS4_FIELD(ds4_sampling, reserved),
    DS4_FIELD(ds4_sampling, seed),
};
constexpr StructField kJobOptions[] = {
    DS4_FIELD(ds4_job_options, struct_bytes),      DS4_FIELD(ds4_job_options, tag),
    DS4_FIELD(ds4_job_options, max_tokens),        DS4_FIELD(ds4_job_options, top_logprobs),
    DS4_FIELD(ds4_job_options, logprobs),          DS4_FIELD(ds4_job_options, tool_zones),
    DS4_FIELD(ds4_job_options, stop_token_count),  DS4_FIELD(ds4_job_options, reasoning_budget),
    DS4_FIELD(ds4_job_options, think_close_token), DS4_FIELD(ds4_job_options, reserved),
    DS4_FIELD(ds4_job_options, sampling),          DS4_FIELD(ds4_job_options, tool_names),
    DS4_FIELD(ds4_job_options, mark_offsets),      DS4_FIELD(ds4_job_options, mark_count),
    DS4_FIELD(ds4_job_options, mark_interval),     DS4_FIELD(ds4_job_options, mark_end),
    DS4_FIELD(ds4_job_options, mark_reserved),
};
constexpr StructField kJobState[] = {
    DS4_FIELD(ds4_job_state, struct_bytes),   DS4_FIELD(ds4_job_state, status),
    DS4_FIELD(ds4_job_state, finish),         DS4_FIELD(ds4_job_state, token_count),
    DS4_FIELD(ds4_job_state, pending_tokens), DS4_FIELD(ds4_job_state, prompt_processed),
    DS4_FIELD(ds4_job_state, generated),      DS4_FIELD(ds4_job_state, stop_token),
    DS4_FIELD(ds4_job_state, stop_string),    DS4_FIELD(ds4_job_state, error),
    DS4_FIELD(ds4_job_state, prefill_us),     DS4_FIELD(ds4_job_state, decode_us),
    DS4_FIELD(ds4_job_state, pending_marks),  DS4_FIELD(ds4_job_state, reserved),
};
constexpr StructField kJobToken[] = {
    DS4_FIELD(ds4_job_token, id),           DS4_FIELD(ds4_job_token, logprob),
    DS4_FIELD(ds4_job_token, top_count),    DS4_FIELD(ds4_job_token, top_ids),
    DS4_FIELD(ds4_job_token, top_logprobs),
};

constexpr StructLayout kStructs[] = {
    {"ds4_shape", sizeof(ds4_shape), kShape},
    {"ds4_layer_options", sizeof(ds4_layer_options), kLayerOptions},
    {"ds4_tensor", sizeof(ds4_tensor), kTensor},
    {"ds4_load_progress", sizeof(ds4_load_progress), kLoadProgress},
    {"ds4_engine_options", sizeof(ds4_engine_options), kEngineOptions},
    {"ds4_session_options", sizeof(ds4_session_options), kSessionOptions},
    {"ds4_step_item", sizeof(ds4_step_item), kStepItem},
    {"ds4_sampling", sizeof(ds4_sampling), kSampling},
    {"ds4_job_options", sizeof(ds4_job_options), kJobOptions},
    {"ds4_job_state", sizeof(ds4_job_state), kJobState},
    {"ds4_job_token", sizeof(ds4_job_token), kJobToken},
};

} // namespace

std::span<const StructLayout> struct_layouts() { return kStructs; }

template <> const StructLayout &layout_of<ds4_shape>() { return kStructs[0]; }
template <> const StructLayout &layout_of<ds4_layer_options>() { return kStructs[1]; }
template <> const StructLayout &layout_of<ds4_tensor>() { return kStructs[2]; }
template <> const StructLayout &layout_of<ds4_engine_options>() { return kStructs[4]; }
template <> const StructLayout &layout_of<ds4_session_options>() { return kStructs[5]; }
template <> const StructLayout &layout_of<ds4_step_item>() { return kStructs[6]; }
template <> const StructLayout &layout_of<ds4_sampling>() { return kStructs[7]; }
template <> const StructLayout &layout_of<ds4_job_options>() { return kStructs[8]; }
template <> const StructLayout &layout_of<ds4_job_state>() { return kStructs[9]; }
template <> const StructLayout &layout_of<ds4_job_token>() { return kStructs[10]; }

} // namespace ds4::api
