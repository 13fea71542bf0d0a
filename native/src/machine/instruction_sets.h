// Instruction sets that kernels are written for, and which of them this machine runs.
#pragma once

namespace ds4 {

enum class Isa {
    generic, // baseline x86-64
    avx2,    // with FMA and F16C
    avx512,  // F, BW, VL, DQ, VNNI and VBMI: Ice Lake or Zen 4 and later
    amx,     // AMX-TILE and AMX-BF16 beside AVX-512 with BF16
};
const char *isa_name(Isa isa);

namespace machine {

// Whether the CPU has the instructions and the system saves their registers. The first question for
// amx also asks the system to let this process use tile registers, which its threads share.
bool has(Isa isa);
// The best set whose results do not depend on the size of a batch; therefore never amx.
Isa best_isa();
bool has_avx512_bf16();
bool is_amd();

} // namespace machine
} // namespace ds4
