// Products of packed rows by tensor cores, in f16 with f32 sums. Stored values of 2^-21 to 57,344
// are exact in f16; smaller ones are off by 2^-25 at most, larger ones become infinite. Rows have a
// norm, so only weights of the norm beyond 2,500 could make such values. Queries and weights are
// sums of Parts f16 values: two keep 22 bits of their mantissa, one keeps 11.
//
// A block has a warp for every 64 channels. A warp unpacks its channels of a tile of rows for
// itself alone. The last one has the rotary channels.
#pragma once
#include "device/kernel.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/tile.h"

namespace ds4::kernels {

using namespace device;

template <int Parts> class TensorRows {
  public:
    static constexpr bool kSharesRows = false; // among the warps of a block
    static_assert(Parts == 1 || Parts == 2);

    __host__ __device__ static int64_t shared_bytes(int channels) {
        const int warps = channels / kWarpChannels;
        return int64_t(warps) * (kKeyBytes + kPartialFloats * 4) + Parts * kWeightBytes +
               (warps + 1) * kRawBytes;
    }

    __device__ TensorRows(const AttendParams &p, int64_t row, int first_head, uint8_t *shared)
        : codes_(p.channels - p.format.rotary), tail_(p.format.bytes - p.format.rotary * 2) {
        const int warps = p.channels / kWarpChannels;
        keys_ = reinterpret_cast<uint16_t *>(shared + warp() * kKeyBytes);
        partials_ = reinterpret_cast<float *>(shared + warps * kKeyBytes);
        weights_ = reinterpret_cast<uint16_t *>(shared + warps * (kKeyBytes + kPartialFloats * 4));
        raw_ = shared + warps * (kKeyBytes + kPartialFloats * 4) + Parts * kWeightBytes +
               warp() * kRawBytes;
        load_queries(p, row, first_head);
    }

    // Asks for the warp's channels of a tile. mine: the row of key `lane`; null rows are zeros.
    __device__ void fetch(const uint8_t *mine) {
        if (has_codes()) {
            factor_ = factor_of(mine == nullptr ? 127u : mine[codes_ + warp()]);
            fetch_rows<8>(mine, warp() * kWarpChannels);
        } else {
            fetch_rows<16>(mine, tail_);
        }
        close_copies();
    }
    // Unpacks what was asked for. The tile before must not be in use any more.
    __device__ void unpack() {
        await_copies<0>();
        __syncwarp();
        if (has_codes())
            unpack_codes();
        else
            unpack_rotary();
        __syncwarp();
    }

    // The warp's part of all scores of the tile.
    __device__ void multiply_keys() {
        float scores[kTileRows / 8][4] = {};
#pragma unroll
        for (int k = 0; k < kSteps; k += 2)
#pragma unroll
            for (int n = 0; n < kTileRows / 8; n++) {
                uint32_t tiles[4];
                load_tiles(tiles,
                           keys_ + (n * 8 + lane() % 8) * kKeyStride + k * 16 + lane() / 8 * 8);
                const uint32_t first[2] = {tiles[0], tiles[1]}, second[2] = {tiles[2], tiles[3]};
#pragma unroll
                for (int part = Parts - 1; part >= 0; part--) {
                    mma_f16(scores[n], query_[part][k], first);
                    mma_f16(scores[n], query_[part][k + 1], second);
                }
            }
        float *partial = partials_ + warp() * kPartialFloats;
        const int head = lane() / 4, key = lane() % 4 * 2;
#pragma unroll
        for (int n = 0; n < kTileRows / 8; n++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                *reinterpret_cast<float2 *>(partial + (head + half * 8) * kStride + n * 8 + key) =
                    make_float2(scores[n][half * 2], scores[n][half * 2 + 1]);
    }
    // The score of key `lane`, after a barrier.
    __device__ float score(int head) const {
        const int warps = int(blockDim.x) / kWarp;
        float sum = partials_[head * kStride + lane()];
        for (int w = 1; w < warps; w++)
            sum += partials_[w * kPartialFloats + head * kStride + lane()];
        return sum;
    }
    __device__ void put_weight(int head, float weight) {
        uint16_t *at = weights_ + head * kStride + lane();
        const uint16_t high = float_to_f16(weight);
        at[0] = high;
        if constexpr (Parts == 2) at[kWeightBytes / 2] = float_to_f16(weight - f16_to_float(high));
    }

    // sum = sum * factor of the head + weights times rows, over the warp's channels. Pairs of sums:
    // tile.h.
    __device__ void add_values(float (&sum)[8][4], const float *factors) const {
        const float low = factors[lane() / 4], high = factors[lane() / 4 + 8];
#pragma unroll
        for (int n = 0; n < 8; n++)
            sum[n][0] *= low, sum[n][1] *= low, sum[n][2] *= high, sum[n][3] *= high;
#pragma unroll
        for (int k = 0; k < kTileRows / 16; k++) {
            uint32_t weights[Parts][4];
#pragma unroll
            for (int part = 0; part < Parts; part++)
                load_tiles(weights[part], weights_ + part * (kWeightBytes / 2) +
                                              lane() % 16 * kStride + k * 16 + lane() / 16 * 8);
#pragma unroll
            for (int n = 0; n < 8; n += 2) {
                uint32_t tiles[4];
                load_tiles_transposed(tiles, keys_ + (k * 16 + lane() % 16) * kKeyStride + n * 8 +
                                                 lane() / 16 * 8);
                const uint32_t first[2] = {tiles[0], tiles[1]}, second[2] = {tiles[2], tiles[3]};
#pragma unroll
                for (int part = Parts - 1; part >= 0; part--) {
                    mma_f16(sum[n], weights[part], first);
                    mma_f16(sum[n + 1], weights[part], second);
                }
            }
        }
    }
    __device__ static int pair_head(int pair) { return lane() / 4 + pair % 2 * 8; }
    __device__ static int pair_channel(int pair) {
        return warp() * kWarpChannels + pair / 2 * 8 + lane() % 4 * 2;
    }

  private:
    static constexpr int kWarpChannels = 64, kSteps = kWarpChannels / 16;
    static constexpr int kKeyStride = kWarpChannels + 8; // so that tiles lie in different banks
    static constexpr int kKeyBytes = kTileRows * kKeyStride * 2;
    static constexpr int kRawBytes = kTileRows * kWarpChannels; // the last warp has twice as much
    static constexpr int kStride = kTileRows + 8;               // of scores and weights
    static constexpr int kPartialFloats = kTileHeads * kStride;
    static constexpr int kWeightBytes = kTileHeads * kStride * 2;

    // As the left operand: rows are heads.
    __device__ void load_queries(const AttendParams &p, int64_t row, int first_head) {
        const int column = warp() * kWarpChannels + lane() % 4 * 2;
#pragma unroll
        for (int k = 0; k < kSteps; k++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int head = first_head + lane() / 4 + i % 2 * 8;
                float2 q = make_float2(0.0f, 0.0f);
                if (head < p.heads)
                    q = *reinterpret_cast<const float2 *>(
                        p.q + (row * p.heads + head) * p.channels + column + k * 16 + i / 2 * 8);
                const uint32_t high = floats_to_f16x2(q.x, q.y);
                query_[0][k][i] = high;
                if constexpr (Parts == 2)
                    query_[1][k][i] = floats_to_f16x2(q.x - f16_to_float(uint16_t(high)),
                                                      q.y - f16_to_float(uint16_t(high >> 16)));
            }
    }

    // Two e4m3 codes, in the low byte of each half, to f16 times 2^-8.
    __device__ static uint32_t shrunk_f16x2(uint32_t codes) {
        return (codes << 8 & 0x80008000u) | (codes << 7 & 0x3f803f80u);
    }
    // factor: 2^8 times the scale in both halves; 2^-14 at least, as scales are 2^-22 at least.
    __device__ static uint2 scale_codes(uint32_t codes, uint32_t factor) {
        return make_uint2(multiply_f16x2(shrunk_f16x2(__byte_perm(codes, 0, 0x4140)), factor),
                          multiply_f16x2(shrunk_f16x2(__byte_perm(codes, 0, 0x4342)), factor));
    }
    // The factor of a scale byte is infinite where it does not fit.
    __device__ static uint32_t factor_of(uint32_t byte) {
        const uint32_t exponent = min(max(int(byte) - 127 + 8 + 15, 0), 31);
        return exponent << 10 | exponent << 26;
    }

    __device__ bool has_codes() const { return warp() * kWarpChannels < codes_; }
    // Lanes copy 8 bytes of a row each.
    template <int Lanes> __device__ void fetch_rows(const uint8_t *mine, int offset) {
        const int first = lane() / Lanes, column = lane() % Lanes * 8;
#pragma unroll
        for (int key = 0; key < kTileRows; key += kWarp / Lanes) {
            const uint64_t row = __shfl_sync(kAllLanes, uint64_t(mine), key + first);
            copy_async_8(raw_ + (key + first) * Lanes * 8 + column,
                         reinterpret_cast<const uint8_t *>(row) + offset + column, row != 0);
        }
    }
    __device__ void unpack_codes() {
        const int first = lane() / 8, column = lane() % 8 * 8;
#pragma unroll
        for (int i = 0; i < kTileRows; i += 4) {
            const int key = i + first;
            const uint2 codes = *reinterpret_cast<const uint2 *>(raw_ + key * 64 + column);
            const uint32_t of_row = __shfl_sync(kAllLanes, factor_, key);
            const uint2 low = scale_codes(codes.x, of_row), high = scale_codes(codes.y, of_row);
            *reinterpret_cast<uint4 *>(keys_ + key * kKeyStride + column) =
                make_uint4(low.x, low.y, high.x, high.y);
        }
    }
    __device__ static uint32_t bf16x2_to_f16x2(uint32_t pair) {
        return floats_to_f16x2(bf16_to_float(uint16_t(pair)), bf16_to_float(uint16_t(pair >> 16)));
    }
    __device__ void unpack_rotary() {
        const int first = lane() / 16, column = lane() % 16 * 4;
#pragma unroll
        for (int i = 0; i < kTileRows; i += 2) {
            const int key = i + first;
            const uint2 pairs = *reinterpret_cast<const uint2 *>(raw_ + key * 128 + column * 2);
            *reinterpret_cast<uint2 *>(keys_ + key * kKeyStride + column) =
                make_uint2(bf16x2_to_f16x2(pairs.x), bf16x2_to_f16x2(pairs.y));
        }
    }

    int codes_, tail_;
    uint16_t *keys_, *weights_;
    float *partials_;
    uint8_t *raw_;
    uint32_t factor_ = 0; // of the row of key `lane`
    uint32_t query_[Parts][kSteps][4];
};

} // namespace ds4::kernels
