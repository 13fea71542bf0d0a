// What one pass computes: the routes of its tokens grouped by expert, in ascending expert order,
// and where the sums over an expert's channels are kept until they are added up.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "experts/weights/expert_layer.h"
#include "experts/forward/sum_tree.h"
#include "kernels/calibration.h"
#include "kernels/tile_kernels.h"

namespace ds4::ktb {

constexpr int kFusedTokens =
    16; // tokens of an expert up to which one worker can take its chunks from input to output
constexpr int kInOrderTokens =
    3; // of an expert up to which its weights are read front to back, then
constexpr int kFusedRoutes = 1024;               // of a pass, likewise: they bound the sums kept
constexpr int kSumColumns = kTileRows;           // of a token, summed at a time
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

    // Expert of a route, [tokens * k]; -1: skipped.
    int expert_of(size_t route) const {
        const int64_t id = wide_ids ? static_cast<const int64_t *>(ids)[route]
                                    : static_cast<const int32_t *>(ids)[route];
        return id >= 0 && id < layer->shape.experts && weights[route] != 0.0f ? int(id) : -1;
    }
};
// Throws for a route to an expert that has no slot.
void check_present(const ForwardRequest &request);

// How an engine computes; the same for every pass of a layer.
struct KernelChoice {
    const Kernels
        *kernels[kTrialCounts]; // by trial_index of an expert's tokens; all give the same bits
    const TileKernels *tiles;   // nullptr: none
    int tile_tokens;  // of an expert from which its tokens go to the tile kernels; 0: never
    int fused_tokens; // of the busiest expert up to which a pass is fused; at most kFusedTokens
    bool fp8_reference;
    bool is_trial = false; // stays as it is, whatever was measured on the layer
};
KernelChoice tuned(const KernelChoice &choice,
                   const Tuning *tuning); // nullptr: nothing was measured

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
    int first_block; // grouped form: of its blocks of 16 routes on tile kernels, -1: on the others
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
    std::vector<std::vector<int>>
        unit_begin; // of each part: [workers + 1] units [expert, chunk of the part] dealt to each
    // grouped form: every part sums the same nodes of each expert
    std::vector<std::vector<SumNode>> part_nodes;
    int strip_tiles = 0;               // row tiles between two barriers
    int blocks = 0;                    // of 16 routes on tile kernels
    bool all_in_blocks = false;        // nothing meets the other kernels
    std::vector<int32_t> block_routes; // [blocks * 16] route, -1 past the last one of an expert

    // For products of an expert with so many tokens.
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

    void build(const ForwardRequest &pass, const KernelChoice &choice,
               const std::vector<int> &part_workers); // workers of each part

  private:
    void group_routes();
    void deal_units(const std::vector<int> &part_workers);
    void place_partials();
    void place_strips();
    void place_blocks(int tile_tokens);
    std::vector<int> counts_;
};

} // namespace ds4::ktb
