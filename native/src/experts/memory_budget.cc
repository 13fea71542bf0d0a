#include "experts/memory_budget.h"

#include <algorithm>
#include <cstdio>

#include "base/memory_account.h"
#include "format/convert.h"
#include "model/model.h"

namespace ds4 {
namespace {

std::string gibibytes(uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f GiB", double(bytes) / double(1u << 30));
    return text;
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

// Groups of 32 prepared channels take at most 128 bytes. Tiles round the tokens of each expert up
// to 16 and hold their channels again. Two strips of sums take at most 64 MiB each.
uint64_t library_workspace_bytes(const Shape &shape, uint64_t step_tokens) {
    const uint64_t routes = step_tokens * uint64_t(shape.experts_per_token),
                   padded = routes + 16 * std::min(routes, uint64_t(shape.experts)),
                   hidden = uint64_t(shape.hidden), width = uint64_t(shape.moe_intermediate_size);
    constexpr uint64_t kStripBytes = uint64_t(64) << 20, kGroupBytes = 128, kTileBytes = 40;
    return step_tokens * hidden / 32 * kGroupBytes + routes * width / 32 * kGroupBytes +
           padded * (hidden + width) / 32 * kTileBytes +
           2 * std::min(kStripBytes, routes * hidden * 4);
}

std::string memory_obstacle(const MemoryNeeds &needs, uint64_t available, bool must_hold_rest) {
    const uint64_t needed = needs.packed + needs.sessions + (must_hold_rest ? needs.rest : 0);
    if (needed <= available) return "";
    return "experts take " + gibibytes(needs.packed) + " and the rest " +
           gibibytes(needed - needs.packed) + "; " + gibibytes(available) + " are available";
}

} // namespace ds4
