// The panels of tile_kernels.h, written over a Unit: the hardware's (mxfp4_amx.cc) or an emulation
// of it (its test). A unit has eight registers of 16 rows x 64 bytes and these functions:
//   zero<t>(), load<t>(address, row stride), store<t>(address, row stride)
//   dot<c, a, b>()   c[m][n] += sum over pairs k of a[m][2k] b[k][2n] + a[m][2k + 1] b[k][2n + 1],
//                    bf16 to f32
//   fetch(tile)      prefetches a weight tile
//   decode(tile, b, out)   row block b of a weight tile as a tile of 1024 bytes, scales folded
#pragma once
#include "kernels/tile_kernels.h"

namespace ds4::ktb {

// Groups that are decoded together: 64 KB a panel and 256 KB in all, which stay in L2 while the
// token blocks pass. There are two such buffers. The next groups are decoded, and their codes come
// from memory, while the tile unit works.
constexpr int kDecodedGroups = 16;
constexpr int kFetchedAhead = 4; // prefetch distance of codes in groups
constexpr int kTileRowBlocks = 4;
constexpr size_t kDecodedGroupBytes = kTileRowBlocks * kBlockGroupBytes,
                 kDecodedPanelBytes = kDecodedGroups * kDecodedGroupBytes;
constexpr size_t kSumStride = kTileRows * sizeof(float);
static_assert(2 * kTilePanels * kDecodedPanelBytes <= kTileScratchBytes);

// Decodes `groups` tiles of every panel from group `begin` on. The work is spread evenly over the
// steps of the tile unit, in row blocks.
template <class Unit> class SpreadDecoder {
  public:
    SpreadDecoder(const TilePanelArgs &args, int begin, int groups, uint8_t *out, int steps)
        : args_(args), begin_(begin), groups_(groups),
          blocks_(groups * args.panels * kTileRowBlocks), steps_(steps), out_(out) {}
    void step() {
        for (due_ += blocks_; due_ >= steps_; due_ -= steps_) next();
    }

  private:
    void next() {
        const uint8_t *tile = args_.tiles + size_t(panel_) * args_.panel_stride +
                              size_t(begin_ + group_) * args_.tile_stride;
        if (block_ == 0 && begin_ + group_ + kFetchedAhead < args_.groups)
            Unit::fetch(tile + kFetchedAhead * args_.tile_stride);
        Unit::decode(tile, block_,
                     out_ + size_t(panel_) * kDecodedPanelBytes +
                         size_t(group_) * kDecodedGroupBytes + size_t(block_) * kBlockGroupBytes);
        if (++block_ < kTileRowBlocks) return;
        block_ = 0;
        if (++group_ < groups_) return;
        group_ = 0, panel_++;
    }
    const TilePanelArgs &args_;
    int begin_, groups_, blocks_, steps_, due_ = 0, panel_ = 0, group_ = 0, block_ = 0;
    uint8_t *out_;
};

template <class Unit, int t> inline void load_sums(const float *sums, bool starts) {
    if (starts)
        Unit::template zero<t>();
    else
        Unit::template load<t>(sums, kSumStride);
}

// Two blocks of tokens x two row blocks: registers 0..3 hold sums, 4 and 5 activations, 6 and 7
// weights. All loads come before the products, because mixing them costs the unit more. Eight
// registers allow four loads for four products. The row "its loads too" of kt_moe_bench --suites
// rates shows what that leaves of the peak, even from L1.
template <class Unit>
inline void two_by_two(const uint8_t *activations, size_t block_stride, const uint8_t *weights,
                       int groups, float *sums, bool starts, SpreadDecoder<Unit> &next_weights) {
    float *next = sums + kBlockTokens * kTileRows;
    load_sums<Unit, 0>(sums, starts);
    load_sums<Unit, 1>(sums + 16, starts);
    load_sums<Unit, 2>(next, starts);
    load_sums<Unit, 3>(next + 16, starts);
    for (int g = 0; g < groups;
         g++, activations += kBlockGroupBytes, weights += kDecodedGroupBytes) {
        Unit::template load<4>(activations, 64);
        Unit::template load<5>(activations + block_stride, 64);
        Unit::template load<6>(weights, 64);
        Unit::template load<7>(weights + kBlockGroupBytes, 64);
        Unit::template dot<0, 4, 6>();
        Unit::template dot<1, 4, 7>();
        Unit::template dot<2, 5, 6>();
        Unit::template dot<3, 5, 7>();
        next_weights.step();
    }
    Unit::template store<0>(sums, kSumStride);
    Unit::template store<1>(sums + 16, kSumStride);
    Unit::template store<2>(next, kSumStride);
    Unit::template store<3>(next + 16, kSumStride);
}

// One block of tokens x four row blocks.
template <class Unit>
inline void one_by_four(const uint8_t *activations, const uint8_t *weights, int groups, float *sums,
                        bool starts, SpreadDecoder<Unit> &next_weights) {
    load_sums<Unit, 0>(sums, starts);
    load_sums<Unit, 1>(sums + 16, starts);
    load_sums<Unit, 2>(sums + 32, starts);
    load_sums<Unit, 3>(sums + 48, starts);
    for (int g = 0; g < groups;
         g++, activations += kBlockGroupBytes, weights += kDecodedGroupBytes) {
        Unit::template load<4>(activations, 64);
        Unit::template load<5>(weights, 64);
        Unit::template dot<0, 4, 5>();
        Unit::template load<6>(weights + kBlockGroupBytes, 64);
        Unit::template dot<1, 4, 6>();
        Unit::template load<7>(weights + 2 * kBlockGroupBytes, 64);
        Unit::template dot<2, 4, 7>();
        Unit::template load<5>(weights + 3 * kBlockGroupBytes, 64);
        Unit::template dot<3, 4, 5>();
        next_weights.step();
    }
    Unit::template store<0>(sums, kSumStride);
    Unit::template store<1>(sums + 16, kSumStride);
    Unit::template store<2>(sums + 32, kSumStride);
    Unit::template store<3>(sums + 48, kSumStride);
}

template <class Unit> inline void tile_panels(const TilePanelArgs &args) {
    const int blocks = (args.tokens + kBlockTokens - 1) / kBlockTokens;
    const auto groups_from = [&](int begin) {
        return args.groups - begin < kDecodedGroups ? args.groups - begin : kDecodedGroups;
    };
    uint8_t *decoded = args.scratch, *next = args.scratch + kTilePanels * kDecodedPanelBytes;
    SpreadDecoder<Unit>(args, 0, groups_from(0), decoded, 1).step();
    for (int begin = 0; begin < args.groups; begin += kDecodedGroups) {
        const int groups = groups_from(begin), after = begin + groups;
        // A pair of token blocks takes two steps a group and panel, and a single one takes one.
        SpreadDecoder<Unit> next_weights(args, after, groups_from(after), next,
                                         blocks * groups * args.panels);
        const uint8_t *activations = args.blocks + size_t(begin) * kBlockGroupBytes;
        for (int block = 0; block < blocks; block += 2, activations += 2 * args.block_stride)
            for (int p = 0; p < args.panels; p++) {
                const uint8_t *weights = decoded + size_t(p) * kDecodedPanelBytes;
                float *sums = args.sums + size_t(p) * args.panel_sums() +
                              size_t(block) * kBlockTokens * kTileRows;
                if (block + 1 == blocks) {
                    one_by_four<Unit>(activations, weights, groups, sums, begin == 0, next_weights);
                    continue;
                }
                two_by_two<Unit>(activations, args.block_stride, weights, groups, sums, begin == 0,
                                 next_weights);
                two_by_two<Unit>(activations, args.block_stride, weights + 2 * kBlockGroupBytes,
                                 groups, sums + 32, begin == 0, next_weights);
            }
        uint8_t *free = decoded;
        decoded = next, next = free;
    }
}

} // namespace ds4::ktb
