// Where and how an engine's routed experts run, as ds4_engine_options asks for it.
#pragma once
#include <string>

#include "ds4.h"

namespace ds4 {

struct ExpertOptions {
    uint32_t place = DS4_EXPERTS_AUTO;
    uint32_t numerics = DS4_EXPERT_NUMERICS_AUTO;
    int threads = 0;     // workers of the expert library; 0 with parts 0: the engine's threads
    int parts = 0;       // slices of every expert, one per NUMA node; 0: one for each node
    int layers = 0;      // number of first layers to pack; 0: all
    std::string library; // path; empty: the library beside this one
};

// Checks the expert_ fields. Throws Error(DS4_ERR_ARGUMENT) with the field and its range.
ExpertOptions read_expert_options(const ds4_engine_options &raw);

} // namespace ds4
