#include "backend/cpu/workspace_bytes.h"

#include <algorithm>

#include "backend/cpu/blocks/attend_heads.h"
#include "backend/cpu/blocks/indexer.h"
#include "backend/cpu/blocks/sequence_attention.h"
#include "backend/cpu/buffer.h"
#include "backend/cpu/kernels/matmul.h"

namespace ds4::cpu {
namespace {

// Adds up buffers as they are asked for.
class Sum {
  public:
    Sum(const WorkspaceFacts &facts, int64_t tokens, int64_t context)
        : shape_(facts.cache.shape), cache_(facts.cache), precision_(facts.precision),
          threads_(facts.threads), packs_(facts.packs_experts), tiled_(facts.is_tiled),
          tokens_(tokens), context_(std::max(context, tokens)) {
        for (const LayerShape &layer : shape_.layer) {
            halves_ = std::max<int64_t>(halves_,
                                        layer.compress_ratio == 0 ? 0 : layer.compressor_halves());
            has_indexer_ = has_indexer_ || layer.has_indexer();
            const int64_t visible = layer.visible_entries(context_ - 1);
            shared_entries_ = std::max(
                shared_entries_,
                layer.has_indexer() ? std::min<int64_t>(visible, shape_.index_top_k) : visible);
        }
    }
    uint64_t total() {
        add_step();
        add_projections();
        add_attention();
        add_indexer();
        add_experts();
        return total_;
    }

  private:
    void floats(int64_t count) { total_ += Buffer::needed_bytes(uint64_t(count) * 4); }
    void bytes(int64_t count) { total_ += Buffer::needed_bytes(uint64_t(count)); }
    void forms(int64_t rows, int64_t cols) {
        bytes(int64_t(activation_bytes(rows, cols, precision_)));
    }

    void add_step() {
        const int64_t n = tokens_, hidden = shape_.hidden;
        floats(n * shape_.hc_width()), floats(n * hidden), floats(n * hidden);
        floats(n * shape_.streams), floats(n * shape_.streams * shape_.streams);
        floats(n * shape_.rope_dim), floats(n * shape_.rope_dim);
        floats(n * shape_.hc_mix());
        floats(hidden), forms(1, hidden); // the row whose logits are sampled
        floats(shape_.vocab);
    }
    void add_projections() {
        const int64_t n = tokens_, groups = shape_.o_groups, low = groups * shape_.o_lora_rank;
        forms(n, shape_.hidden), forms(n, shape_.q_lora_rank);
        floats(n * shape_.q_lora_rank), floats(n * shape_.head_dim);
        for (int i = 0; i < 2; i++) { // queries, and the heads' outputs
            floats(n * shape_.attention_width());
            if (halves_ > 0) floats(n * halves_ * shape_.head_dim); // values, and gate
            if (has_indexer_) floats(n * 2 * shape_.index_head_dim);
        }
        if (has_indexer_) floats(n * shape_.index_heads);
        if (selects()) floats(n * shape_.index_heads * shape_.index_head_dim);
        forms(groups * n, shape_.group_width()), forms(n, low);
        floats(n * low), floats(groups * n);
    }
    void add_attention() {
        const int64_t dim = shape_.head_dim,
                      window = std::min<int64_t>(context_, shape_.sliding_window - 1 + tokens_),
                      keys = std::min<int64_t>(window, shape_.sliding_window) +
                             std::min(kSliceRows, shared_entries_),
                      spare = tiled_ ? kChunkRows - 1 : 0; // ahead of a window, in its first chunk
        bytes(tokens_ * cache_.kv.bytes());
        // Sequences of one token each load theirs together.
        const int64_t one = key_bytes(std::min<int64_t>(context_, shape_.sliding_window) + spare,
                                      dim, tiled_),
                      shared = key_bytes(shared_entries_, dim, tiled_);
        bytes(std::max(key_bytes(window + spare, dim, tiled_),
                       std::min(tokens_ * one, kLoadedBytes)));
        bytes(std::max(shared, std::min(tokens_ * shared, kLoadedBytes)));
        const int64_t heads = std::min<int64_t>(tiled_ ? kMaxTiledHeads : kHeadBlock, shape_.heads);
        for (int i = 0; i < threads_; i++) {
            floats(heads * 2 * partial_floats(shape_) + slice_floats(dim, keys, heads, tiled_));
            floats(dim), floats(shape_.rope_dim); // of a compressor
        }
    }
    bool selects() const { return has_indexer_ && visible() > shape_.index_top_k; }
    int64_t visible() const { return Indexer::visible(context_ - 1); }
    void add_indexer() {
        if (!selects()) return;
        const int64_t queries = std::min(tokens_, Indexer::queries_per_call(visible())),
                      rows = tokens_ * shape_.index_heads, dim = shape_.index_head_dim;
        floats(queries * visible()), floats(queries * shape_.index_top_k);
        bytes(std::min<int64_t>(queries, 8) *
              key_bytes(shape_.index_top_k, shape_.head_dim, tiled_));
        bytes(rows * dim), floats(rows * dim / 32), floats(rows * dim / 32), floats(rows);
    }
    void add_experts() {
        const int64_t n = tokens_, width = shape_.moe_intermediate_size,
                      chosen = n * shape_.experts_per_token, lines = packs_ ? 0 : chosen;
        forms(n, shape_.hidden), floats(n * shape_.experts);
        for (int i = 0; i < 6; i++) floats(i < 2 ? chosen : lines);
        floats(shape_.experts + 1);
        floats(lines * width), floats(lines * width), forms(lines, width);
        floats(packs_ ? n * shape_.hidden : lines * shape_.hidden);
        floats(n * width), floats(n * width), forms(n, width);
    }

    const Shape &shape_;
    const CacheLayout &cache_;
    const Precision precision_;
    const int threads_;
    const bool packs_, tiled_;
    const int64_t tokens_, context_;
    int64_t halves_ = 0, shared_entries_ = 0; // of the layer with the most
    bool has_indexer_ = false;
    uint64_t total_ = 0;
};

} // namespace

uint64_t workspace_bytes(const WorkspaceFacts &facts, int64_t tokens, int64_t context) {
    return Sum(facts, tokens, context).total();
}

} // namespace ds4::cpu
