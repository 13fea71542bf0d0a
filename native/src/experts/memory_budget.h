// The memory that packed experts, the other weights and the sessions of an engine need.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ds4 {

struct LayerTensors;
struct MemoryAccount;
struct Shape;

// In bytes.
struct MemoryNeeds {
    uint64_t packed = 0;   // experts of the layers to be packed
    uint64_t rest = 0;     // all other weights, mapped
    uint64_t sessions = 0; // the cache of one session, and the workspace of a step
};
// used_bytes: all tensors of the model. account: of an engine with packed experts.
MemoryNeeds memory_needs(const std::vector<LayerTensors> &layers, int packed_layers,
                         uint64_t used_bytes, const MemoryAccount &account);

// How the expert library computes.
struct LibraryFacts {
    const Shape &shape;
    uint32_t type;        // of the gate matrices, DS4_TYPE_*
    std::string numerics; // as expert_numerics names them
    int threads;
};
// Bytes of the library's own workspace for steps of so many tokens: what it takes, or a little
// more.
uint64_t library_workspace_bytes(const LibraryFacts &facts, uint64_t step_tokens);

// The reason why the needs exceed `available` bytes, or empty if they fit. must_hold_rest counts
// the mapped weights too: then nothing is read from disk while the engine decodes.
std::string memory_obstacle(const MemoryNeeds &needs, uint64_t available, bool must_hold_rest);

} // namespace ds4
