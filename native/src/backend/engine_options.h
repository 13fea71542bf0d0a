// How an engine computes: the choices of ds4_engine_options, checked.
#pragma once
#include <cstdint>

#include "ds4.h"
#include "experts/expert_options.h"

namespace ds4 {

// Those of the CPU backend alone.
struct CpuOptions {
    uint32_t isa = DS4_ISA_AUTO;
    int threads = 0; // 0: chosen by the backend
};

// Those of every backend, then a member for each.
struct EngineOptions {
    uint32_t backend = DS4_BACKEND_AUTO;
    uint32_t numerics = DS4_NUMERICS_FAST;
    uint32_t switches = 0; // sum of DS4_SWITCH_*
    uint32_t max_step_tokens = 512;
    uint32_t session_tokens = 0; // length of the session that memory is left for; 0: a default
    ds4_load_progress *progress = nullptr; // the caller's, alive until the engine is open
    ExpertOptions experts;
    CpuOptions cpu;
};

// Throws Error(DS4_ERR_ARGUMENT) with the field and its range.
EngineOptions read_engine_options(const ds4_engine_options &raw);

} // namespace ds4
