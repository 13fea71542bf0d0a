// Two layers of experts of a storage type, for tests that need sizes and no values.
#pragma once
#include <string>
#include <vector>

#include "model/model.h"

namespace ds4::test {

inline Shape expert_shape() {
    Shape shape{};
    shape.layers = 2, shape.hidden = 256;
    shape.experts = 5, shape.experts_per_token = 3, shape.moe_intermediate_size = 512;
    return shape;
}

inline std::vector<LayerTensors> expert_layers(const Shape &shape, uint32_t type) {
    LayerTensors layer;
    for (int e = 0; e < shape.experts; e++) {
        layer.gate.push_back({type, shape.moe_intermediate_size, shape.hidden, nullptr, nullptr});
        layer.up.push_back(layer.gate.back());
        layer.down.push_back({type, shape.hidden, shape.moe_intermediate_size, nullptr, nullptr});
    }
    return {layer, layer};
}

} // namespace ds4::test
