// Where the routed experts of an engine run: packed in the expert library's memory, or mapped, by
// the row kernels from the file. Decided before anything is read.
#pragma once
#include <string>
#include <vector>

#include "backend/cpu/kernels/operands.h"
#include "backend/cpu/weights.h"

namespace ds4::cpu {

struct ExpertChoice {
    bool packed = false;
    int layers = 0;       // the first ones, when packed
    std::string numerics; // of the library
    std::string reason;   // why not, when mapped
};

// What the weights and an engine's sessions take, in bytes.
struct MemoryNeeds {
    uint64_t packed = 0;   // experts of the layers to be packed
    uint64_t rest = 0;     // every other weight, mapped
    uint64_t sessions = 0; // caches of one session, and the library's workspace
};
MemoryNeeds memory_needs(const Shape &shape, const std::vector<LayerWeights> &layers,
                         int packed_layers, uint64_t used_bytes, uint64_t session_bytes);

// "int8", "bf16", "fp8ref" or "f32": what was asked for, else what fits the engine's own precision.
const char *expert_numerics(uint32_t requested, Precision precision);

// KTB_* of a storage type, -1 for one that the library does not hold.
int expert_method(uint32_t type);

// What speaks against packing these layers, whatever the memory: a shape or a storage type that the
// library cannot hold. Empty if nothing does.
std::string packing_obstacle(const Shape &shape, const std::vector<LayerWeights> &layers,
                             int packed_layers, bool has_extension);

// For `auto` everything must fit at once, so that nothing is read from disk while the engine
// decodes; where packing was asked for, the rest may stay on disk. Empty if it fits; `available` 0
// (unknown) fits.
std::string memory_obstacle(const MemoryNeeds &needs, uint64_t available, bool must_hold_rest);

} // namespace ds4::cpu
