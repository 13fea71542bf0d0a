// Encoding of f32 rows into storage types, and the lossless change of FP4 order. F16 and BF16 round
// to nearest, ties to even. Codes of Q8_0 round halves away from zero, as ggml does; the bytes were
// compared with ggml's.
#pragma once
#include <cstdint>

namespace ds4 {

// Encodes one row into F32, F16, BF16 or Q8_0. Returns null, or why the row has no such form ("a
// value is not finite"); then `out` is unspecified. F32, F16 and BF16 pass NaN and infinities on. A
// finite value that the type would turn into an infinity is refused.
const char *encode_row(uint32_t type, const float *in, uint8_t *out, int64_t cols);
bool can_encode(uint32_t type);

// Converts one row from the official order to GGUF blocks. In the official order byte j has value
// 2j low and 2j + 1 high, and scales lie apart. In GGUF blocks byte j has value j low and j + 16
// high. No value changes.
void fp4_packed_to_mxfp4(const uint8_t *codes, const uint8_t *scales, uint8_t *out, int64_t cols);

// Converts a row back. `scales` receives [cols / 32] scales unless it is null.
void mxfp4_to_fp4_packed(const uint8_t *blocks, uint8_t *codes, uint8_t *scales, int64_t cols);

} // namespace ds4
