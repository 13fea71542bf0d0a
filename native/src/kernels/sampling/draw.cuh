// The draw of one record by one block, after the passes over its row.
#pragma once
#include "kernels/sampling/row_weights.cuh"

namespace ds4::kernels {

struct DrawShared {
    TopShared top;
    Fixed bins[kTopBins]; // sums of weights
    Fixed keys[kMaxTopK]; // the first logits, in order
    Fixed scratch[device::kWarp];
    Fixed before;
    int32_t found;
};

// floor(uniform * total), exact: uniform has 24 bits and total fewer than 58.
__device__ __forceinline__ Fixed drawn_amount(float uniform, Fixed total) {
    const Fixed bits = Fixed(uniform * 0x1p24f);
    return __umul64hi(bits, total) << 40 | bits * total >> 24;
}
// The least sum of weights that makes up the share top_p of the total.
__device__ __forceinline__ Fixed nucleus_amount(float top_p, Fixed total) {
    return Fixed(ceil(__dmul_rn(double(top_p), double(total))));
}

struct Found {
    int index; // -1: all values add up to no more than the amount
    Fixed before;
};

// The first of `count` values at which their sum exceeds `amount`, and the sum before it. All
// threads call it.
template <typename Value>
__device__ __forceinline__ Found find_amount(int count, const Value &value, Fixed amount,
                                             DrawShared &s) {
    if (threadIdx.x == 0) s.found = -1, s.before = 0;
    Fixed through = 0;
    for (int base = 0; base < count && through <= amount; base += kTopThreads) {
        const int i = base + int(threadIdx.x);
        const Fixed mine = i < count ? value(i) : 0;
        Fixed all = 0;
        const Fixed before = through + sum_before(mine, s.scratch, all);
        if (before <= amount && amount < before + mine) s.found = i, s.before = before;
        through += all;
    }
    __syncthreads();
    const Found found{s.found, s.before};
    __syncthreads();
    return found;
}

// The sum of `count` values, for all threads.
template <typename Value>
__device__ __forceinline__ Fixed sum_all(int count, const Value &value, DrawShared &s) {
    Fixed mine = 0;
    for (int i = int(threadIdx.x); i < count; i += kTopThreads) mine += value(i);
    mine = block_reduce(mine, s.scratch, [](Fixed a, Fixed b) { return a + b; });
    __syncthreads();
    return mine;
}

// Sorts keys [kMaxTopK], ascending. A thread compares one pair at a time.
__device__ __forceinline__ void sort_keys(Fixed *keys) {
    static_assert(kMaxTopK == 2 * kTopThreads);
    const int thread = int(threadIdx.x);
    __syncthreads();
    for (int size = 2; size <= int(kMaxTopK); size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            const int i = (thread & ~(step - 1)) * 2 + (thread & (step - 1)), other = i + step;
            if ((keys[i] > keys[other]) == ((i & size) == 0)) {
                const Fixed key = keys[i];
                keys[i] = keys[other], keys[other] = key;
            }
            __syncthreads();
        }
}

// Fills s.keys with the first `count` ids in the order of logits, sorted. key(id): 0 for ids that
// do not count, of which the row has others than `count` ones at least.
template <typename Key>
__device__ __forceinline__ void sort_first(const Key &key, int vocab, int count, DrawShared &s) {
    __syncthreads(); // keys of an earlier call may still be read
    for (int i = int(threadIdx.x); i < int(kMaxTopK); i += kTopThreads) s.keys[i] = ~Fixed(0);
    __syncthreads();
    choose_top(
        key, [](int id) { return id; }, vocab, count, s.top,
        [&](int place, int id) { s.keys[place] = Fixed(~key(id)) << 32 | uint32_t(id); });
    sort_keys(s.keys);
}

struct Drawer {
    const SampleParams &p;
    const SamplingRecord &record;
    const RowScratch &row;
    const RowFacts &facts;
    DrawShared &s;
    Logits logits;
    Weigher weigher;

    __device__ __forceinline__ Drawer(const SampleParams &p, const SamplingRecord &record,
                                      const RowScratch &row, const RowFacts &facts, DrawShared &s)
        : p(p), record(record), row(row), facts(facts), s(s), logits(p, record),
          weigher(facts.largest(), facts.smallest, record.temperature) {}

    __device__ __forceinline__ Fixed weight_of_key(uint32_t key) const {
        return to_fixed(weigher.weight(logit_of_order_key(key)));
    }

    // Ids in ascending order, those of at least min_p.
    __device__ __forceinline__ int by_id() const {
        const auto of_block = [&](int block) { return row.facts[block].weights; };
        const Fixed rest = drawn_amount(record.uniform, sum_all(row.blocks, of_block, s));
        const Found block = find_amount(row.blocks, of_block, rest, s);
        const int first = block.index * kIdsPerBlock;
        const auto of_id = [&](int i) -> Fixed {
            if (first + i >= p.vocab || !logits.counts(first + i)) return 0;
            const float weight = weigher.weight(logits.values[first + i]);
            return weight < record.min_p ? 0 : to_fixed(weight);
        };
        return first + find_amount(kIdsPerBlock, of_id, rest - block.before, s).index;
    }

    // The first top_k in the order of logits, up to top_p of their weights and down to min_p.
    __device__ __forceinline__ int from_top() const {
        const int count = int(min(min(record.top_k, kMaxTopK), facts.finite));
        sort_first([&](int id) { return logits.key(id); }, p.vocab, count, s);
        const auto weight = [&](int place) {
            return weigher.weight(logits.values[int(uint32_t(s.keys[place]))]);
        };
        const auto fixed = [&](int place) { return to_fixed(weight(place)); };
        const Fixed wanted = nucleus_amount(record.top_p, sum_all(count, fixed, s));
        int kept = count; // up to the first one below min_p
        for (int i = int(threadIdx.x); i < kept; i += kTopThreads)
            if (weight(i) < record.min_p) kept = i;
        kept = block_reduce(kept, reinterpret_cast<int *>(s.scratch),
                            [](int a, int b) { return a < b ? a : b; });
        __syncthreads();
        const Found last = find_amount(kept, fixed, wanted - 1, s); // with which top_p is reached
        if (last.index >= 0) kept = last.index + 1;
        const Fixed rest = drawn_amount(record.uniform, sum_all(kept, fixed, s));
        const Found found = find_amount(kept, fixed, rest, s);
        return found.index < 0 ? facts.best_id() : int(uint32_t(s.keys[found.index]));
    }

    struct Place {
        int id;
        Fixed through; // the sum of the weights up to this id and with it
    };

    // Among items of one bucket: key(i) is 0 for others. before: the sum ahead of the bucket.
    template <typename Key, typename Id>
    __device__ __forceinline__ Place locate_among(const Key &key, const Id &id, int count,
                                                  Fixed before, Fixed amount) const {
        uint32_t prefix = 0;
        for (int shift = 20, bits = 12; shift >= 0; shift -= 10, bits = 10) {
            const int size = 1 << bits;
            for (int i = int(threadIdx.x); i < size; i += kTopThreads) s.bins[i] = 0;
            __syncthreads();
            for (int i = int(threadIdx.x); i < count; i += kTopThreads) {
                const uint32_t mine = key(i), part = mine >> shift;
                if (mine != 0 && (bits == 12 || part >> bits == prefix))
                    atomicAdd(&s.bins[part & uint32_t(size - 1)], weight_of_key(mine));
            }
            __syncthreads();
            const auto of_bin = [&](int i) { return s.bins[size - 1 - i]; };
            const Found bin = find_amount(size, of_bin, amount - before, s);
            prefix = prefix << bits | uint32_t(size - 1 - bin.index), before += bin.before;
        }
        // Equal logits, in the order of ids.
        const Fixed weight = weight_of_key(prefix), rank = (amount - before) / weight;
        take_in_order([&](int i) { return key(i) == prefix ? 1u : 0u; }, count, 0, 1,
                      uint32_t(rank) + 1, s.top,
                      [&](int place, int i) {
                          if (place == int(rank)) s.found = id(i);
                      });
        __syncthreads();
        const int found = s.found;
        __syncthreads();
        return {found, before + (rank + 1) * weight};
    }

    // The first id, in the order of logits, at which the sum of weights exceeds `amount`.
    __device__ __forceinline__ Place locate(Fixed amount) const {
        const Found bucket =
            find_amount(kWeightBuckets, [&](int b) { return row.buckets[b]; }, amount, s);
        const auto key = [&](int id) -> uint32_t {
            const uint32_t mine = logits.key(id);
            return mine != 0 && weigher.bucket(logits.values[id]) == bucket.index ? mine : 0u;
        };
        const uint32_t count = take_in_order([&](int id) { return key(id) != 0 ? 1u : 0u; },
                                             p.vocab, 0, 1, uint32_t(kTopList), s.top,
                                             [&](int place, int id) {
                                                 s.top.list_keys[place] =
                                                     order_key(logits.values[id]),
                                                 s.top.list_ids[place] = id;
                                             });
        __syncthreads();
        const bool is_listed = count <= uint32_t(kTopList);
        return locate_among([&](int i) { return is_listed ? s.top.list_keys[i] : key(i); },
                            [&](int i) { return is_listed ? s.top.list_ids[i] : i; },
                            is_listed ? int(count) : p.vocab, bucket.before, amount);
    }

    // The sum of the weights before the first one below min_p.
    __device__ __forceinline__ Fixed sum_of_min_p() const {
        uint32_t cut = 0;
        for (int b = int(threadIdx.x); b < row.blocks; b += kTopThreads)
            cut = max(cut, row.facts[b].cut);
        cut = block_reduce(cut, reinterpret_cast<uint32_t *>(s.scratch),
                           [](uint32_t a, uint32_t b) { return a > b ? a : b; });
        __syncthreads();
        const auto of_id = [&](int id) -> Fixed {
            const uint32_t key = logits.key(id);
            return key > cut ? weight_of_key(key) : 0;
        };
        return sum_all(p.vocab, of_id, s);
    }

    __device__ __forceinline__ int from_nucleus() const {
        const Fixed total = sum_all(
                        kWeightBuckets, [&](int b) { return row.buckets[b]; }, s),
                    wanted = nucleus_amount(record.top_p, total);
        Fixed kept = record.min_p > 0.0f ? sum_of_min_p() : total;
        Place place{};
        for (int turn = wanted < kept ? 0 : 1; turn < 2; turn++) {
            place = locate(turn == 0 ? wanted - 1 : drawn_amount(record.uniform, kept));
            if (turn == 0) kept = place.through;
        }
        return place.id;
    }
};

} // namespace ds4::kernels
