// Cache rows as they are stored. Packed rows lose nothing of what the model was trained with: KV
// channels ahead of the rotary ones in FP8 with a power-of-two scale per 64, rotary channels in
// bf16; index rows after a Walsh-Hadamard transform in FP4 with a power-of-two scale per 32
// (docs/numerics.md#cache-rows). Plain rows are f32.
//
//   packed KV row, D channels, R rotary:  | D-R e4m3 codes | (D-R)/64 e8m0 | 0 .. to a multiple of
//   8 | R bf16 | packed index row, d channels:         | d/2 bytes, low nibble = even channel |
//   d/32 e8m0 |
#pragma once
#include <cstdint>

namespace ds4 {

enum class RowStorage { packed, f32 };

struct KvRowFormat {
    int channels, rotary;
    RowStorage storage;
    int64_t bytes() const;
    // x: [channels] after norm and rope.
    void encode(const float *x, uint8_t *row) const;
    void decode(const uint8_t *row, float *x) const;
};

struct IndexRowFormat {
    int channels;
    RowStorage storage;
    int64_t bytes() const;
    // x: [channels] after norm and rope; overwritten by its transform when packed.
    void encode(float *x, uint8_t *row) const;
    // The FP4 step of encode alone, for rows that are transformed already. Packed storage only.
    void encode_transformed(const float *x, uint8_t *row) const;
    void decode(const uint8_t *row, float *x) const;
};

// Transform and rounding of an index query in place: what encode then decode give.
void round_index_row(float *x, int channels);
// n-point Walsh-Hadamard transform in natural order, times n^(-1/2). n is a power of two.
void hadamard(float *x, int n);

} // namespace ds4
