// The memory that packed experts, the other weights and the sessions of an engine need.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ds4 {

struct LayerTensors;

// In bytes.
struct MemoryNeeds {
    uint64_t packed = 0;   // experts of the layers to be packed
    uint64_t rest = 0;     // all other weights, mapped
    uint64_t sessions = 0; // the cache of one session, and the library's workspace
};
// used_bytes: all tensors of the model. session_bytes: the cache of one session.
MemoryNeeds memory_needs(const std::vector<LayerTensors> &layers, int packed_layers,
                         uint64_t used_bytes, uint64_t session_bytes);

// The reason why the needs exceed `available` bytes, or empty if they fit. must_hold_rest counts
// the mapped weights too: then nothing is read from disk while the engine decodes.
std::string memory_obstacle(const MemoryNeeds &needs, uint64_t available, bool must_hold_rest);

} // namespace ds4
