// The memory that an engine takes on a GPU, counted before anything is loaded.
#pragma once
#include <cstdint>

#include "backend/cuda/weights.h"
#include "backend/engine_options.h"
#include "base/memory_account.h"
#include "kv/page_pool.h"
#include "model/model.h"

namespace ds4::cuda {

struct MemoryPlan {
    WeightBytes weights;
    MemoryAccount account;
    uint64_t needed() const {
        return weights.total() + account.session(account.session_tokens) + account.workspace;
    }
};

// pages: of any memory; nothing is allocated.
MemoryPlan plan_memory(const Model &model, const EngineOptions &options, const PagePool &pages);

// Throws Error(DS4_ERR_DEVICE_MEMORY) that says what would fit if the plan does not.
void check_plan(const MemoryPlan &plan, uint64_t available);

} // namespace ds4::cuda
