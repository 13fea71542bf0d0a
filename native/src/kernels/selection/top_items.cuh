// The items with the largest keys, for any distribution of keys, by one block. The k-th largest key
// is found by bins of its first 12, then 10 and 10 bits. Equal keys go to the items that come
// first, and the items come out in their order.
#pragma once
#include "device/kernel.h"
#include "kernels/selection/block_scan.cuh"

namespace ds4::kernels {

constexpr int kTopThreads = 512;
constexpr int kTopBins = 4096;
constexpr int kTopList = 4096;   // items that are kept in shared memory once so few are left
constexpr int kTopPerThread = 8; // items of a round

struct TopShared {
    uint32_t bins[kTopBins];
    uint32_t list_keys[kTopList];
    int32_t list_ids[kTopList];
    uint32_t warp_sums[kTopThreads / device::kWarp];
    uint32_t bin, before, inside; // of the bin that holds the last place
};

// Grows with the score. Both zeros are equal, and a NaN is minus infinity.
__device__ __forceinline__ uint32_t order_key(float score) {
    const uint32_t bits = __float_as_uint(score), magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return ~0xff800000u;
    if (magnitude == 0) return 0x80000000u;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Finds the bin, from the largest on, in which the count `wanted` is reached.
__device__ __forceinline__ void find_bin(TopShared &s, int bin_count, uint32_t wanted) {
    const int each = bin_count / kTopThreads, last = bin_count - 1 - int(threadIdx.x) * each;
    uint32_t mine = 0, all = 0;
    for (int i = 0; i < each; i++) mine += s.bins[last - i];
    uint32_t before = sum_before(mine, s.warp_sums, all);
    if (before < wanted && before + mine >= wanted) {
        int bin = last;
        while (before + s.bins[bin] < wanted) before += s.bins[bin--];
        s.bin = uint32_t(bin), s.before = before, s.inside = s.bins[bin];
    }
    __syncthreads();
}

// emit(place, item) for the items whose key is above `prefix` in the bits from `shift` on, and for
// the first `equals` that have it. In order; places count from 0. Returns the number of all items
// with such keys, emitted or not.
template <typename Key, typename Emit>
__device__ __forceinline__ uint32_t take_in_order(const Key &key, int count, int shift,
                                                  uint32_t prefix, uint32_t equals, TopShared &s,
                                                  const Emit &emit) {
    using namespace device;
    const uint32_t earlier_lanes = (1u << lane()) - 1u;
    uint32_t above = 0, equal = 0; // before this round
    for (int base = 0; base < count; base += kTopThreads * kTopPerThread) {
        const int first = base + warp() * (kWarp * kTopPerThread) + lane();
        uint32_t aboves[kTopPerThread], equals_of[kTopPerThread]; // a bit a lane
        uint32_t mine = 0, all = 0; // above in the low half, equal in the high one
#pragma unroll
        for (int i = 0; i < kTopPerThread; i++) {
            const int item = first + i * kWarp;
            const uint32_t part = item < count ? key(item) >> shift : 0u;
            aboves[i] = __ballot_sync(kAllLanes, item < count && part > prefix);
            equals_of[i] = __ballot_sync(kAllLanes, item < count && part == prefix);
            mine += uint32_t(__popc(aboves[i])) | uint32_t(__popc(equals_of[i])) << 16;
        }
        const uint32_t before = warps_before(mine, s.warp_sums, all);
        uint32_t a = above + (before & 0xffffu), e = equal + (before >> 16);
#pragma unroll
        for (int i = 0; i < kTopPerThread; i++) {
            const uint32_t my_a = a + uint32_t(__popc(aboves[i] & earlier_lanes)),
                           my_e = e + uint32_t(__popc(equals_of[i] & earlier_lanes));
            const bool is_above = (aboves[i] >> lane() & 1u) != 0,
                       is_equal = (equals_of[i] >> lane() & 1u) != 0;
            if (is_above || (is_equal && my_e < equals))
                emit(int(my_a + min(my_e, equals)), first + i * kWarp);
            a += uint32_t(__popc(aboves[i])), e += uint32_t(__popc(equals_of[i]));
        }
        above += all & 0xffffu, equal += all >> 16;
    }
    return above + equal;
}

template <typename Key>
__device__ __forceinline__ void count_bins(const Key &key, int count, int shift, int bits,
                                           uint32_t prefix, TopShared &s) {
    for (int i = int(threadIdx.x); i < 1 << bits; i += kTopThreads) s.bins[i] = 0;
    __syncthreads();
    for (int i = int(threadIdx.x); i < count; i += kTopThreads) {
        const uint32_t part = key(i) >> shift;
        if (shift + bits == 32 || part >> bits == prefix)
            atomicAdd(&s.bins[part & ((1u << bits) - 1u)], 1u);
    }
    __syncthreads();
}

// emit(place, id) for the `wanted` items of largest key, by ascending item. key(i) for i below
// count; id(i) is what emit gets of item i. All kTopThreads threads of a block call it.
template <typename Key, typename Id, typename Emit>
__device__ __forceinline__ void choose_top(const Key &key, const Id &id, int count, int wanted,
                                           TopShared &s, const Emit &emit) {
    if (count <= wanted) {
        for (int i = int(threadIdx.x); i < count; i += kTopThreads) emit(i, id(i));
        return;
    }
    const auto list_key = [&](int i) { return s.list_keys[i]; };
    uint32_t prefix = 0, rest = uint32_t(wanted); // rest: places for keys of the prefix
    int shift = 32, list = -1;                    // list: its items, or -1
    for (int level = 0; level < 3; level++) {
        const int bits = level == 0 ? 12 : 10;
        shift -= bits;
        if (list >= 0)
            count_bins(list_key, list, shift, bits, prefix, s);
        else
            count_bins(key, count, shift, bits, prefix, s);
        find_bin(s, 1 << bits, rest);
        prefix = prefix << bits | s.bin, rest -= s.before;
        const uint32_t inside = s.inside, left = uint32_t(wanted) - rest + inside;
        if (inside == rest) break; // all of the prefix have a place
        if (list >= 0 || left > uint32_t(kTopList) || level == 2) continue;
        take_in_order(key, count, shift, prefix, inside, s, [&](int place, int item) {
            s.list_keys[place] = key(item), s.list_ids[place] = id(item);
        });
        list = int(left);
        __syncthreads();
    }
    if (list >= 0)
        take_in_order(list_key, list, shift, prefix, rest, s,
                      [&](int place, int item) { emit(place, s.list_ids[item]); });
    else
        take_in_order(key, count, shift, prefix, rest, s,
                      [&](int place, int item) { emit(place, id(item)); });
}

} // namespace ds4::kernels
