#include "experts/library_support.h"

#include "ds4.h"
#include "format/convert.h"
#include "kt_bridge.h"
#include "model/model.h"

namespace ds4 {
namespace {

// Limits of kt_bridge.h.
constexpr int kWidthStep = 128, kMaxExpertsPerToken = 16, kMaxExperts = 1024;

std::string type_obstacle(const std::vector<TensorView> &matrices, int layer, bool has_extension) {
    for (const TensorView &matrix : matrices) {
        const std::string name = std::string(type_traits(matrix.type)->name) + " experts (layer " +
                                 std::to_string(layer) + ")";
        if (expert_method(matrix.type) < 0) return "the library does not hold " + name;
        if (!has_extension && matrix.type != DS4_TYPE_FP4_PACKED)
            return "the library lacks ktb_moe_load_matrices, which " + name + " need";
    }
    return "";
}

// Gate and up share a type, down may have another.
bool types_agree(const LayerTensors &layer) {
    const auto all_are = [](const std::vector<TensorView> &matrices, uint32_t type) {
        for (const TensorView &matrix : matrices)
            if (matrix.type != type) return false;
        return true;
    };
    return all_are(layer.gate, layer.gate[0].type) && all_are(layer.up, layer.gate[0].type) &&
           all_are(layer.down, layer.down[0].type);
}

} // namespace

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

std::string packing_obstacle(const Shape &shape, const std::vector<LayerTensors> &layers,
                             int packed_layers, bool has_extension) {
    if (shape.hidden % kWidthStep != 0 || shape.moe_intermediate_size % kWidthStep != 0)
        return "widths " + std::to_string(shape.hidden) + " and " +
               std::to_string(shape.moe_intermediate_size) + " are not multiples of 128";
    if (shape.experts_per_token > kMaxExpertsPerToken)
        return std::to_string(shape.experts_per_token) +
               " experts a token are more than the library's 16";
    if (shape.experts > kMaxExperts)
        return std::to_string(shape.experts) + " experts are more than the library's 1024";
    for (int l = 0; l < packed_layers; l++) {
        const LayerTensors &layer = layers[size_t(l)];
        for (const auto *matrices : {&layer.gate, &layer.up, &layer.down})
            if (std::string text = type_obstacle(*matrices, l, has_extension); !text.empty())
                return text;
        if (!types_agree(layer))
            return "the types of layer " + std::to_string(l) + "'s experts differ";
    }
    return "";
}

} // namespace ds4
