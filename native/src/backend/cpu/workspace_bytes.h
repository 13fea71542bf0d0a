// The size of a workspace before there is one.
#pragma once
#include <cstdint>

#include "backend/cpu/kernels/operands.h"
#include "kv/cache_layout.h"

namespace ds4::cpu {

struct WorkspaceFacts {
    const CacheLayout &cache;
    Precision precision;
    bool packs_experts; // routed experts run in the library, whose own memory is not counted here
    int threads;
    bool lanes_at_once; // each lane has threads of its own
    bool is_tiled;      // attention runs on tile registers
};

// Bytes of all buffers after steps of `tokens` tokens of one sequence, up to `context` tokens. A
// test holds it against the buffers.
uint64_t workspace_bytes(const WorkspaceFacts &facts, int64_t tokens, int64_t context);

} // namespace ds4::cpu
