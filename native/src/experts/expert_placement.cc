#include "experts/expert_placement.h"

#include <cstdio>

#include "format/convert.h"
#include "kt_bridge.h"

namespace ds4::cpu {
namespace {

constexpr int kWidthStep = 128, kMaximumUsed = 16, kMaximumExperts = 1024; // of kt_bridge.h

uint64_t stored_bytes(const Matrix &matrix) {
    return uint64_t(matrix.rows) * row_bytes(matrix.type, uint64_t(matrix.cols)) +
           scale_bytes(matrix.type, uint64_t(matrix.rows), uint64_t(matrix.cols));
}

std::string gibibytes(uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f GiB", double(bytes) / double(1u << 30));
    return text;
}

} // namespace

MemoryNeeds memory_needs(const Shape &shape, const std::vector<LayerWeights> &layers,
                         int packed_layers, uint64_t used_bytes, uint64_t session_bytes) {
    MemoryNeeds needs;
    for (int l = 0; l < packed_layers; l++)
        for (int e = 0; e < shape.experts; e++)
            for (const auto *matrices :
                 {&layers[size_t(l)].gate, &layers[size_t(l)].up, &layers[size_t(l)].down})
                needs.packed += stored_bytes((*matrices)[size_t(e)]);
    needs.rest = used_bytes - (needs.packed < used_bytes ? needs.packed : used_bytes);
    needs.sessions =
        session_bytes +
        needs.packed / 32; // the workspace of a long prompt stays below 1/32 of Flash's experts
    return needs;
}

const char *expert_numerics(uint32_t requested, Precision precision) {
    switch (requested) {
    case DS4_EXPERT_NUMERICS_INT8: return "int8";
    case DS4_EXPERT_NUMERICS_BF16: return "bf16";
    case DS4_EXPERT_NUMERICS_FP8REF: return "fp8ref";
    case DS4_EXPERT_NUMERICS_F32: return "f32";
    default: return precision == Precision::int8 ? "int8" : "f32";
    }
}

int expert_method(uint32_t type) {
    switch (type) {
    case DS4_TYPE_FP4_PACKED:
    case DS4_TYPE_MXFP4: return KTB_MXFP4;
    case DS4_TYPE_BF16: return KTB_BF16;
    case DS4_TYPE_Q8_0: return KTB_Q8_0;
    case DS4_TYPE_Q2_K: return KTB_Q2_K;
    case DS4_TYPE_Q4_K: return KTB_Q4_K;
    case DS4_TYPE_IQ2_XXS: return KTB_IQ2_XXS;
    default: return -1;
    }
}

std::string packing_obstacle(const Shape &shape, const std::vector<LayerWeights> &layers,
                             int packed_layers, bool has_extension) {
    if (shape.hidden % kWidthStep != 0 || shape.expert_width % kWidthStep != 0)
        return "widths " + std::to_string(shape.hidden) + " and " +
               std::to_string(shape.expert_width) + " are not multiples of 128";
    if (shape.experts_used > kMaximumUsed)
        return std::to_string(shape.experts_used) +
               " experts a token are more than the library's 16";
    if (shape.experts > kMaximumExperts)
        return std::to_string(shape.experts) + " experts are more than the library's 1024";
    for (int l = 0; l < packed_layers; l++) {
        const LayerWeights &w = layers[size_t(l)];
        for (const auto *matrices : {&w.gate, &w.up, &w.down})
            for (const Matrix &matrix : *matrices) {
                const std::string where = std::string(type_traits(matrix.type)->name) +
                                          " experts (layer " + std::to_string(l) + ")";
                if (expert_method(matrix.type) < 0) return "the library does not hold " + where;
                if (!has_extension && matrix.type != DS4_TYPE_FP4_PACKED)
                    return "the library lacks ktb_moe_load_matrices, which " + where + " need";
                if (matrix.type != (matrices == &w.down ? w.down[0] : w.gate[0]).type)
                    return "the types of layer " + std::to_string(l) + "'s experts differ";
            }
    }
    return "";
}

std::string memory_obstacle(const MemoryNeeds &needs, uint64_t available, bool must_hold_rest) {
    const uint64_t needed = needs.packed + needs.sessions + (must_hold_rest ? needs.rest : 0);
    if (available == 0 || needed <= available) return "";
    return "experts take " + gibibytes(needs.packed) + " and the rest " +
           gibibytes(needed - needs.packed) + "; " + gibibytes(available) + " are available";
}

} // namespace ds4::cpu
