#include "experts/memory_budget.h"

#include <algorithm>
#include <cstdio>

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
                         uint64_t used_bytes, uint64_t session_bytes) {
    MemoryNeeds needs;
    for (int l = 0; l < packed_layers; l++) {
        const LayerTensors &layer = layers[size_t(l)];
        for (const auto *matrices : {&layer.gate, &layer.up, &layer.down})
            for (const TensorView &matrix : *matrices)
                needs.packed += matrix.data_bytes() + matrix.scale_bytes();
    }
    needs.rest = used_bytes - std::min(needs.packed, used_bytes);
    // The workspace of a long prompt stays below 1/32 of the experts of DeepSeek V4 Flash.
    needs.sessions = session_bytes + needs.packed / 32;
    return needs;
}

std::string memory_obstacle(const MemoryNeeds &needs, uint64_t available, bool must_hold_rest) {
    const uint64_t needed = needs.packed + needs.sessions + (must_hold_rest ? needs.rest : 0);
    if (needed <= available) return "";
    return "experts take " + gibibytes(needs.packed) + " and the rest " +
           gibibytes(needed - needs.packed) + "; " + gibibytes(available) + " are available";
}

} // namespace ds4
