// Products of f32 rows in f32. A block shares a tile of rows in shared memory; a thread sums two
// channels of all heads.
#pragma once
#include "device/kernel.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/tile.h"

namespace ds4::kernels {

using namespace device;

class PlainRows {
  public:
    static constexpr bool kSharesRows = true;

    __host__ __device__ static int64_t shared_bytes(int channels) {
        return (int64_t(kTileRows) * (channels + 4) + kTileHeads * kTileRows) * 4;
    }

    __device__ PlainRows(const AttendParams &p, int64_t row, int first_head, uint8_t *shared)
        : channels_(p.channels), heads_(min(kTileHeads, p.heads - first_head)),
          queries_(p.q + (row * p.heads + first_head) * p.channels) {
        keys_ = reinterpret_cast<float *>(shared);
        weights_ = keys_ + kTileRows * (channels_ + 4);
    }

    // mine: the row of key `lane`; null rows are zeros.
    __device__ void fetch(const uint8_t *mine) { mine_ = mine; }
    // Copies the rows that were asked for. The tile before must not be in use any more.
    __device__ void unpack() {
        const int warps = int(blockDim.x) / kWarp;
        for (int key = warp(); key < kTileRows; key += warps) {
            const uint64_t row = __shfl_sync(kAllLanes, uint64_t(mine_), key);
#pragma unroll 2
            for (int i = lane() * 2; i < channels_; i += kWarp * 2)
                *reinterpret_cast<float2 *>(keys_ + key * (channels_ + 4) + i) =
                    row == 0 ? make_float2(0.0f, 0.0f)
                             : *reinterpret_cast<const float2 *>(row + i * 4);
        }
    }
    __device__ void multiply_keys() {}
    __device__ float score(int head) const {
        if (head >= heads_) return 0.0f;
        const float *q = queries_ + head * channels_, *key = keys_ + lane() * (channels_ + 4);
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 4
        for (int i = 0; i < channels_; i += 4) {
            const float4 a = *reinterpret_cast<const float4 *>(q + i),
                         b = *reinterpret_cast<const float4 *>(key + i);
            sum.x = fmaf(a.x, b.x, sum.x), sum.y = fmaf(a.y, b.y, sum.y);
            sum.z = fmaf(a.z, b.z, sum.z), sum.w = fmaf(a.w, b.w, sum.w);
        }
        return (sum.x + sum.y) + (sum.z + sum.w);
    }
    __device__ void put_weight(int head, float weight) {
        weights_[head * kTileRows + lane()] = weight;
    }
    __device__ void add_values(float (&sum)[8][4], const float *factors) const {
#pragma unroll
        for (int i = 0; i < kPairs; i++)
            sum[i / 2][i % 2 * 2] *= factors[i], sum[i / 2][i % 2 * 2 + 1] *= factors[i];
#pragma unroll 2
        for (int key = 0; key < kTileRows; key++) {
            const float2 value =
                *reinterpret_cast<const float2 *>(keys_ + key * (channels_ + 4) + threadIdx.x * 2);
#pragma unroll
            for (int i = 0; i < kPairs; i++) {
                const float weight = weights_[i * kTileRows + key];
                float *pair = &sum[i / 2][i % 2 * 2];
                pair[0] = fmaf(weight, value.x, pair[0]), pair[1] = fmaf(weight, value.y, pair[1]);
            }
        }
    }
    __device__ static int pair_head(int pair) { return pair; }
    __device__ static int pair_channel(int) { return int(threadIdx.x) * 2; }

  private:
    int channels_, heads_;
    const float *queries_;
    const uint8_t *mine_ = nullptr;
    float *keys_, *weights_;
};

static_assert(kPairs == kTileHeads);

} // namespace ds4::kernels
