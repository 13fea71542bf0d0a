// What one pass computes: the routes of its tokens grouped by expert, in ascending expert order, so that the sum of a
// token does not depend on the tokens around it.
#pragma once
#include <cstdint>
#include <vector>

#include "experts/layer.h"

namespace ds4::ktb {

constexpr int kFusedTokens = 8; // up to here one worker takes a slice of an expert from input to output

struct ForwardRequest {
    Layer *layer;
    int tokens;
    const void *input;   // [tokens, H]
    int input_type;      // KTB_IO_*
    void *output;        // [tokens, H]
    int output_type;
    const void *ids;     // [tokens, k] int32 or int64
    bool wide_ids;
    const float *weights; // [tokens, k]
    bool incremental;
    float limit;
};

struct ActiveExpert {
    int expert;
    int begin, count; // routes
};

struct Plan {
    const Layer *layer = nullptr;
    const Kernels *kernels = nullptr;
    bool fp8_reference = false;
    bool fused = false;
    ForwardRequest request{}; // of this pass alone: pointers moved, tokens counted
    std::vector<ActiveExpert> experts;     // ascending
    std::vector<int> largest_first;        // indices into experts
    std::vector<int32_t> route_tokens;     // [routes]
    std::vector<float> route_weights;      // [routes]
    std::vector<int32_t> slot_routes;      // [tokens, k] route of a slot, -1 when skipped

    int routes() const { return int(route_tokens.size()); }
    void build(const ForwardRequest &pass, const Kernels &pass_kernels, bool pass_fp8_reference);

  private:
    std::vector<int> counts_;
};

} // namespace ds4::ktb
