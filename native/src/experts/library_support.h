// The shapes and storage types of routed experts that the expert library can hold.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ds4 {

struct LayerTensors;
struct Shape;

// KTB_* of a storage type, -1 for one that the library does not hold.
int expert_method(uint32_t type);

// The reason why the first packed_layers layers cannot be packed, whatever the memory: a shape or a
// storage type that the library does not hold. Empty if there is none. has_extension: the library
// has part 2 of kt_bridge.h.
std::string packing_obstacle(const Shape &shape, const std::vector<LayerTensors> &layers,
                             int packed_layers, bool has_extension);

} // namespace ds4
