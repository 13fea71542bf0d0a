// The roundings of the official recipe, which multiplies FP8 activations. They serve parity with
// its logits, not speed.
#pragma once

namespace ds4::ktb {

constexpr int kFp8Block = 128;

// Rounds x[count] to bf16, then through E4M3 with one power-of-two scale per 128 values:
// scale = 2^ceil(log2(max(amax, 1e-4) / 448)). In place; count is a multiple of 128.
void round_through_fp8(float *x, int count);
void round_to_bf16(float *x, int count);

} // namespace ds4::ktb
