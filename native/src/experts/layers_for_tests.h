// Two layers of experts of a storage type, for tests that need sizes and no values.
#pragma once
#include <string>
#include <vector>

#include "model/model.h"

namespace ds4::test {

inline Shape expert_shape() {
    Shape shape{};
    shape.layers = 2, shape.hidden = 256;
    shape.experts = 5, shape.experts_used = 3, shape.expert_width = 512;
    return shape;
}

inline std::vector<LayerTensors> expert_layers(const Shape &shape, uint32_t type) {
    LayerTensors layer;
    for (int e = 0; e < shape.experts; e++) {
        layer.gate.push_back({type, shape.expert_width, shape.hidden, nullptr, nullptr});
        layer.up.push_back(layer.gate.back());
        layer.down.push_back({type, shape.hidden, shape.expert_width, nullptr, nullptr});
    }
    return {layer, layer};
}

inline bool contains(const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
}

} // namespace ds4::test
