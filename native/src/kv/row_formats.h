// The stored form of cache rows (docs/numerics.md#cache-rows). Plain rows are f32. Packed rows lose
// nothing of the precision that the model was trained with:
//
// KV rows hold the channels ahead of the rotary ones in FP8 with a power-of-two scale per 64, and
// the rotary channels in bf16. Index rows are transformed by Walsh-Hadamard and held in FP4 with a
// power-of-two scale per 32.
//
//    KV row, D channels, R rotary: | D-R e4m3 | (D-R)/64 e8m0 | 0 to a multiple of 8 | R bf16 |
//    index row, d channels:        | d/2 bytes, low nibble = even channel | d/32 e8m0 |
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
    // Rounds to FP4 without the transform, for rows that are transformed already. Packed storage
    // only.
    void encode_transformed(const float *x, uint8_t *row) const;
    void decode(const uint8_t *row, float *x) const;
};

// Transforms and rounds an index query in place, as encode and decode would.
void round_index_row(float *x, int channels);
// n-point Walsh-Hadamard transform in natural order, times n^(-1/2). n is a power of two.
void hadamard(float *x, int n);

} // namespace ds4
