// The work of one pass: the routes of its tokens grouped by expert, in ascending order of the
// expert. It also has the places of the sums over an expert's channels until they are added up.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "experts/weights/expert_layer.h"
#include "experts/forward/sum_tree.h"
#include "kernels/calibration.h"
#include "kernels/tile_kernels.h"

namespace ds4::ktb {

// Tokens of an expert up to which one worker can take its chunks from input to output.
constexpr int kFusedTokens = 16;
// Tokens of an expert up to which its weights are then read front to back.
constexpr int kInOrderTokens = 3;
constexpr int kFusedRoutes = 1024;     // of a fused pass, because they bound the memory of sums
constexpr int kSumColumns = kTileRows; // columns of a token that are summed at a time
constexpr size_t kStripBytes = size_t(64) << 20; // of one part's route sums in the grouped form

// Units [begin, end) of `total` that belong to worker `index` of `workers`.
struct Range {
    int begin, end;
};
inline Range share(int64_t total, int index, int workers) {
    return {int(total * index / workers), int(total * (index + 1) / workers)};
}

struct ForwardRequest {
    ExpertLayer *layer;
    int tokens;
    const void *input; // [tokens, H]
    int input_type;    // KTB_IO_*
    void *output;      // [tokens, H]
    int output_type;
    const void *ids; // [tokens, k] int32 or int64
    bool wide_ids;
    const float *weights; // [tokens, k]
    bool incremental;
    float limit;

    // Expert of route 0..tokens * k - 1; -1: skipped.
    int expert_of(size_t route) const {
        const int64_t id = wide_ids ? static_cast<const int64_t *>(ids)[route]
                                    : static_cast<const int32_t *>(ids)[route];
        return id >= 0 && id < layer->shape.experts && weights[route] != 0.0f ? int(id) : -1;
    }
};
// Throws for a route to an expert that has no slot.
void check_present(const ForwardRequest &request);

// How an engine computes every pass of a layer.
struct KernelChoice {
    // By trial_index of an expert's tokens; all give the same bits.
    const Kernels *kernels[kTrialCounts];
    const TileKernels *tiles; // nullptr: none
    int tile_tokens;  // tokens of an expert from which they go to the tile kernels; 0: never
    int fused_tokens; // of the busiest expert up to which a pass is fused; at most kFusedTokens
    bool fp8_reference;
    bool is_trial = false; // measurements on the layer do not change it
};
// The choice after measurements; tuning nullptr: nothing was measured.
KernelChoice tuned(const KernelChoice &choice, const Tuning *tuning);

// The sum of one node of an expert's tree for all its routes, made by one worker.
struct PartialSum {
    SumNode node;
    int part;
    int first_row; // of [routes of the expert, H] in the part's sums
    bool is_inside(const Range &chunks) const {
        return node.first >= chunks.begin && node.first < chunks.end;
    }
};

struct ActiveExpert {
    int expert;
    int begin, count;            // routes
    int first_partial, partials; // fused form: in chunk order over all parts
    int first_block; // grouped form: its first block of 16 routes on tile kernels; -1: none
};

struct ForwardPlan {
    const ExpertLayer *layer = nullptr;
    const Kernels *kernels = nullptr; // for everything but products
    const Kernels *tables[kTrialCounts] = {};
    const TileKernels *tiles = nullptr; // for experts with many tokens, nullptr: none
    bool fp8_reference = false;
    bool fused = false;
    ForwardRequest request{};           // of this pass alone: pointers moved, tokens counted
    std::vector<ActiveExpert> experts;  // ascending
    std::vector<int> largest_first;     // indices into experts
    std::vector<int32_t> route_tokens;  // [routes]
    std::vector<float> route_weights;   // [routes]
    std::vector<int32_t> token_routes;  // [tokens, k] ascending, then -1
    std::vector<int32_t> route_experts; // [routes] index into experts
    // fused form
    std::vector<PartialSum> partials; // by expert
    std::vector<int> part_rows;       // rows of H sums of each part
    // By part: [workers + 1] first unit [expert, chunk of the part] of each worker.
    std::vector<std::vector<int>> unit_begin;
    // grouped form: every part sums the same nodes of each expert
    std::vector<std::vector<SumNode>> part_nodes;
    int strip_tiles = 0;               // row tiles between two barriers
    int blocks = 0;                    // of 16 routes on tile kernels
    bool all_in_blocks = false;        // the other kernels have nothing to do
    std::vector<int32_t> block_routes; // [blocks * 16] route, -1 past the last one of an expert

    // The table for products of an expert with `tokens` tokens.
    const Kernels &table(int tokens) const { return *tables[trial_index(tokens)]; }
    int routes() const { return int(route_tokens.size()); }
    int experts_per_token() const { return layer->shape.experts_per_token; }
    int chunk_slices() const { return std::max(1, kSplitChannels / layer->layout.slice_channels); }
    int chunks(int part) const { return layer->layout.slices(part) / chunk_slices(); }
    int first_chunk(int part) const {
        return layer->layout.slice_begin[size_t(part)] / chunk_slices();
    }
    int all_chunks() const { return layer->layout.slice_begin.back() / chunk_slices(); }
    int strips() const { return (layer->layout.row_tiles + strip_tiles - 1) / strip_tiles; }

    // part_workers: number of workers of each part.
    void build(const ForwardRequest &pass, const KernelChoice &choice,
               const std::vector<int> &part_workers);

  private:
    void group_routes();
    void deal_units(const std::vector<int> &part_workers);
    void place_partials();
    void place_strips();
    void place_blocks(int tile_tokens);
    std::vector<int> counts_;
};

} // namespace ds4::ktb
