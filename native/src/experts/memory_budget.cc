#include "experts/memory_budget.h"

#include <algorithm>
#include <cstdio>

#include "base/memory_account.h"
#include "ds4.h"
#include "format/convert.h"
#include "machine/instruction_sets.h"
#include "model/model.h"

namespace ds4 {
namespace {

std::string gibibytes(uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f GiB", double(bytes) / double(1u << 30));
    return text;
}

bool is_mxfp4(uint32_t type) { return type == DS4_TYPE_FP4_PACKED || type == DS4_TYPE_MXFP4; }

// Bytes of 32 channels as the products read them.
uint64_t prepared_group_bytes(const LibraryFacts &facts) {
    if (facts.numerics == "int8" && facts.type != DS4_TYPE_BF16)
        return is_mxfp4(facts.type) ? 40 : 64;
    return facts.numerics == "bf16" && is_mxfp4(facts.type) ? 64 : 128;
}

bool may_use_tile_unit(const LibraryFacts &facts) {
    return is_mxfp4(facts.type) && (facts.numerics == "bf16" || facts.numerics == "fp8ref") &&
           machine::has(Isa::amx);
}

// A worker has the sums of a panel of 256 tokens, its channels, and scratch memory of the kernels.
// Up to eight tiles of sums of 64 tokens wait to be added up.
uint64_t worker_bytes(const LibraryFacts &facts) {
    constexpr uint64_t kPanelTokens = 256, kScratch = 64 << 10, kTileScratch = 512 << 10,
                       kWaiting = 8 * 64 * 64 * sizeof(float);
    return kPanelTokens * (64 + 128) * sizeof(float) + kScratch + kWaiting +
           (may_use_tile_unit(facts) ? kTileScratch : 0);
}

} // namespace

MemoryNeeds memory_needs(const std::vector<LayerTensors> &layers, int packed_layers,
                         uint64_t used_bytes, const MemoryAccount &account) {
    MemoryNeeds needs;
    for (int l = 0; l < packed_layers; l++) {
        const LayerTensors &layer = layers[size_t(l)];
        for (const auto *matrices : {&layer.gate, &layer.up, &layer.down})
            for (const TensorView &matrix : *matrices)
                needs.packed += matrix.data_bytes() + matrix.scale_bytes();
    }
    needs.rest = used_bytes - std::min(needs.packed, used_bytes);
    needs.sessions = account.session(account.session_tokens) + account.workspace;
    return needs;
}

// Buffers as native/kt_bridge/experts/forward/workspace.cc carves them. Inputs and intermediate
// channels are prepared in groups of 32. Sums of all routes come in two strips of output channels.
uint64_t library_workspace_bytes(const LibraryFacts &facts, uint64_t step_tokens) {
    constexpr uint64_t kStripBytes = uint64_t(64) << 20, kReferenceTokens = 512, kTile = 64 * 4;
    const bool is_reference = facts.numerics == "fp8ref";
    const Shape &shape = facts.shape;
    const uint64_t tokens = std::min(step_tokens, is_reference ? kReferenceTokens : UINT64_MAX),
                   routes = tokens * uint64_t(shape.experts_per_token),
                   hidden = uint64_t(shape.hidden), width = uint64_t(shape.moe_intermediate_size),
                   group = prepared_group_bytes(facts);
    uint64_t bytes = tokens * hidden / 32 * group + routes * width / 32 * group;
    const uint64_t tiles =
        std::clamp<uint64_t>(kStripBytes / (std::max<uint64_t>(routes, 1) * kTile), 1, hidden / 64);
    bytes += 2 * routes * tiles * kTile;
    if (is_reference) bytes += routes * width * sizeof(float);
    if (may_use_tile_unit(facts)) { // blocks of 16 routes hold the channels again
        constexpr uint64_t kBlockRoutes = 16, kBlockGroupBytes = 1024;
        const uint64_t blocks = routes / kBlockRoutes + std::min(routes, uint64_t(shape.experts));
        bytes += blocks * (hidden + width) / 32 * kBlockGroupBytes;
    }
    return bytes + uint64_t(facts.threads) * worker_bytes(facts);
}

std::string memory_obstacle(const MemoryNeeds &needs, uint64_t available, bool must_hold_rest) {
    const uint64_t needed = needs.packed + needs.sessions + (must_hold_rest ? needs.rest : 0);
    if (needed <= available) return "";
    return "experts take " + gibibytes(needs.packed) + " and the rest " +
           gibibytes(needed - needs.packed) + "; " + gibibytes(available) + " are available";
}

} // namespace ds4
