// Options of an engine, as ktb_engine_create_json documents them.
#pragma once
#include "kernels/kernels.h"
#include "kernels/tile_kernels.h"
#include "machine/instruction_sets.h"
#include "pool/memory.h"
#include "pool/worker_pool.h"

namespace ds4::ktb {

// How the instruction set was asked for: by name, the best of this CPU, or the fastest one even if
// its bits differ.
enum class IsaSelection { named, automatic, fastest };

struct ExpertEngineOptions {
    PoolOptions pool;
    Isa isa = machine::best_isa();
    IsaSelection isa_selection = IsaSelection::automatic;
    bool calibrate = true;
    Numerics numerics = Numerics::int8;
    HugePages huge = HugePages::automatic;
    int max_tokens = 8192; // of one internal pass
    // Tokens of the busiest expert up to which a pass is fused. -1: measured, or kFusedTokens.
    int fused_tokens = -1;
    // Tokens of an expert from which they go to the tile kernels. 0: never.
    int tile_tokens = kBlockTokens;

    // Throws KTB_ERR_FORMAT for text that is no JSON, and KTB_ERR_ARGUMENT for an unknown key or a
    // value outside its range.
    static ExpertEngineOptions from_json(const char *text);
};

} // namespace ds4::ktb
