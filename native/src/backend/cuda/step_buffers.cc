#include <algorithm>

#include "backend/cuda/forward.h"
#include "kernels/attention/attention.h"
#include "kernels/hyper_connections/hyper_connections.h"
#include "kernels/indexer/indexer.h"

namespace ds4::cuda {
namespace {

constexpr int64_t kScoreFloats = int64_t(16) << 20; // rows are scored so many floats at a time

} // namespace

Forms StepBuffers::forms(Arena &arena, const Context &context, int32_t rows, int32_t cols) const {
    Forms made;
    made.rows = rows, made.cols = cols;
    const int64_t count = int64_t(rows) * cols;
    made.values = arena.take<float>(count);
    if (!context.rounds_activations) return made;
    made.quants = arena.take<int8_t>(count);
    made.scales = arena.take<float>(count / 32 + 1);
    made.halves = arena.take<uint16_t>(count);
    return made;
}

StepBuffers::StepBuffers(Arena &arena, const Context &context, const StepExtent &extent) {
    const Shape &shape = context.shape;
    const int64_t n = extent.rows;
    streams = arena.take<float>(n * shape.hc_width());
    window_angles = arena.take<float>(n * shape.rope_dim);
    compressed_angles = arena.take<float>(n * shape.rope_dim);
    post = arena.take<float>(n * shape.streams);
    comb = arena.take<float>(n * shape.streams * shape.streams);
    sublayer = arena.take<float>(n * shape.hidden);
    collapse_scratch = arena.take<float>(kernels::collapse_scratch(
        std::max(extent.rows, extent.logits_rows), shape.streams, shape.hidden));
    x = forms(arena, context, extent.rows, shape.hidden);
    add_attention(arena, context, extent);
    add_experts(arena, context, extent.rows);
    head_collapsed = arena.take<float>(int64_t(extent.logits_rows) * shape.hidden);
    head = forms(arena, context, extent.logits_rows, shape.hidden);
    logits = arena.take<float>(int64_t(extent.logits_rows) * shape.vocab);
}

void StepBuffers::add_attention(Arena &arena, const Context &context, const StepExtent &extent) {
    const Shape &shape = context.shape;
    const int64_t n = extent.rows;
    int64_t width = 0, index_visible = 0, most_visible = 0;
    for (const LayerShape &layer : shape.layer) {
        width = std::max<int64_t>(width, layer.compress_ratio == 0 ? 0 : layer.compressor_halves());
        const int64_t entries = visible(extent.last_position, layer.compress_ratio);
        if (layer.has_indexer()) index_visible = std::max(index_visible, entries);
        most_visible =
            std::max(most_visible,
                     layer.has_indexer() ? std::min<int64_t>(entries, shape.index_top_k) : entries);
    }
    low = forms(arena, context, extent.rows, shape.q_lora_rank);
    q = arena.take<float>(n * shape.attention_width());
    kv = arena.take<float>(n * shape.head_dim);
    kv_rows = arena.take<uint8_t>(n * context.cache.kv.bytes());
    compressor_values = arena.take<float>(n * width * shape.head_dim);
    compressor_gate = arena.take<float>(n * width * shape.head_dim);
    index_values = arena.take<float>(n * 2 * shape.index_head_dim);
    index_gate = arena.take<float>(n * 2 * shape.index_head_dim);
    index_weights = arena.take<float>(n * shape.index_heads);
    const bool selects = index_visible > shape.index_top_k;
    index_q = arena.take<float>(selects ? n * shape.index_heads * shape.index_head_dim : 0);
    const kernels::RowFormat index_format = context.index_format();
    index_packed = selects && index_format.is_packed
                       ? arena.take<uint8_t>(n * shape.index_heads * index_format.bytes)
                       : nullptr;
    score_rows =
        int32_t(std::clamp<int64_t>(kScoreFloats / std::max<int64_t>(1, index_visible), 1, n));
    scores = arena.take<float>(
        selects ? kernels::select_scratch(score_rows, index_visible, shape.index_top_k) : 0);
    chosen = arena.take<int32_t>(selects ? n * shape.index_top_k : 0);
    chosen_counts = arena.take<int32_t>(selects ? n : 0);
    heads = forms(arena, context, extent.rows * shape.o_groups, shape.group_width());
    group_low = forms(arena, context, extent.rows, shape.o_groups * shape.o_lora_rank);
    kernels::AttendParams attend{};
    attend.step.rows = extent.rows;
    attend.heads = shape.heads, attend.channels = shape.head_dim;
    attend.format = context.kv_format();
    attend.sliding_window = shape.sliding_window;
    attend.top_k = shape.index_top_k, attend.groups = shape.o_groups;
    attend.ratio = 1, attend.max_visible = most_visible; // of the layer with the most
    attend_scratch = arena.take<float>(kernels::attend_scratch_floats(attend));
}

void StepBuffers::add_experts(Arena &arena, const Context &context, int32_t rows) {
    const Shape &shape = context.shape;
    const int64_t lines = int64_t(rows) * shape.experts_per_token,
                  width = shape.moe_intermediate_size;
    router_logits = arena.take<float>(int64_t(rows) * shape.experts);
    route_ids = arena.take<int32_t>(lines);
    route_weights = arena.take<float>(lines);
    group_begin = arena.take<int32_t>(shape.experts + 1);
    row_of = arena.take<int32_t>(lines), line_of = arena.take<int32_t>(lines);
    weight_of = arena.take<float>(lines);
    active = arena.take<int32_t>(shape.experts), active_count = arena.take<int32_t>(1);
    shared = forms(arena, context, rows, shape.moe_intermediate_size);
    shared_up = arena.take<float>(rows * width);
    shared_out = arena.take<float>(int64_t(rows) * shape.hidden);
    routed_hidden = arena.take<float>(lines * width);
    routed_quants = context.rounds_activations ? arena.take<int8_t>(lines * width) : nullptr;
    routed_scales = context.rounds_activations ? arena.take<float>(lines * width / 32) : nullptr;
    partials = arena.take<float>(lines * shape.hidden);
}

} // namespace ds4::cuda
