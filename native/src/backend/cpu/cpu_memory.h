// The memory account of the CPU backend.
#pragma once
#include "backend/cpu/workspace_bytes.h"
#include "backend/engine_options.h"
#include "base/memory_account.h"
#include "kv/cache_layout.h"
#include "model/model.h"

namespace ds4::cpu {

// Bytes of weights that have been copied, and that are no longer read from the files.
struct PackedWeights {
    uint64_t expert_bytes = 0, dense_bytes = 0;
};

MemoryAccount memory_account(const Model &model, const EngineOptions &options,
                             const WorkspaceFacts &facts, const PackedWeights &packed);

} // namespace ds4::cpu
