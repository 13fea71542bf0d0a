// Decides where an engine's routed experts run, before any weight is read. Packed: in the expert
// library's memory. Mapped: on the backend's kernels, from the file.
#pragma once
#include <memory>
#include <string>

#include "experts/packed_experts.h"

namespace ds4 {

class LoadProgress;
class Model;
class ThreadPool;
struct MemoryAccount;
struct ExpertOptions;

// The facts and wishes that decide the place.
struct PlacementInput {
    const Model &model; // outlives the packed experts
    const ExpertOptions &options;
    const MemoryAccount &account; // with packed experts
};

// The means of packed experts.
struct PackingSetup {
    // The instruction set that the library must use, or "auto" where it may measure and choose.
    const char *isa;
    // The library's arithmetic for DS4_EXPERT_NUMERICS_AUTO: "int8" or "f32", as the engine's own.
    const char *automatic_numerics;
    ThreadPool &pool; // outlives the packed experts
    const LoadProgress &progress;
};

struct ExpertPlacement {
    std::unique_ptr<PackedExperts> packed; // null: all routed experts are mapped
    std::string mapped_reason;             // if packed is null

    std::string describe() const; // JSON object
};

// Packs the experts where the options ask for it. Where they leave the choice, packs if the library
// is there, holds the model's types and everything fits in memory. Throws Error for a packing that
// was asked for and is impossible, and for any failure once loading has begun.
ExpertPlacement place_experts(const PlacementInput &input, const PackingSetup &setup);

struct ExpertPlan {
    bool is_packed;
    uint64_t expert_bytes; // to be packed
    // JSON object members: "place", "reason" where mapped, and the bytes that decide.
    std::string members;
};
// Decides as place_experts would now, without reading a weight. Throws as place_experts does before
// it loads.
ExpertPlan plan_experts(const PlacementInput &input);

// The library's name for DS4_EXPERT_NUMERICS_*: "int8", "bf16", "fp8ref" or "f32"; `automatic` for
// AUTO.
const char *expert_numerics(uint32_t requested, const char *automatic);

} // namespace ds4
