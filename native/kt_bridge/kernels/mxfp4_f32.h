// MXFP4 tiles times f32 activations, for any instruction set. Ops supplies vectors and the lookup
// of a code. The namespace has no name, because each file that includes this is compiled for its
// own CPU.
//
// A group has two chains of fused multiply-adds, one over even and one over odd inputs. Their sum
// times the group's scale is fused into the sum over the groups before it. The bits do not depend
// on the number of tokens.
#pragma once
#include "kernels/kernels.h"

namespace ds4::ktb {
namespace {

constexpr int kF32ChunkGroups = 8; // their tiles stay in L1 while all tokens pass

// Inputs 8v..8v+7 of a row are the nibbles of dword v, low first. Vectors of a row block lie 64
// bytes apart.
template <class Ops, int T>
inline void add_group(const uint8_t *tile, int block, const float *const *x,
                      typename Ops::Lanes *sums) {
    const uint8_t *codes = tile + block * Ops::kWidth / 16 * 256 + block * Ops::kWidth % 16 * 4;
    typename Ops::Lanes even[T], odd[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) even[t] = odd[t] = Ops::zero();
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
        const typename Ops::Codes packed = Ops::load_codes(codes + v * 64);
#pragma GCC unroll 4
        for (int i = 0; i < 8; i += 2) {
            const typename Ops::Lanes first = Ops::value(packed, i),
                                      second = Ops::value(packed, i + 1);
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                even[t] = Ops::fma(first, Ops::all(x[t] + v * 8 + i), even[t]);
                odd[t] = Ops::fma(second, Ops::all(x[t] + v * 8 + i + 1), odd[t]);
            }
        }
    }
    const typename Ops::Lanes scales =
        Ops::scales(tile + kTileCodeBytes + size_t(block) * Ops::kWidth);
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) sums[t] = Ops::fma(Ops::add(even[t], odd[t]), scales, sums[t]);
}

template <class Ops, int T>
inline void add_chunk(const PanelArgs &args, int first_token, int begin, int end) {
    const auto *rows = reinterpret_cast<const float *const *>(args.rows) + first_token;
    float *out = args.sums + size_t(first_token) * kTileRows;
    for (int block = 0; block < kTileRows / Ops::kWidth; block++) {
        typename Ops::Lanes sums[T];
        for (int t = 0; t < T; t++)
            sums[t] =
                begin == 0 ? Ops::zero() : Ops::load(out + t * kTileRows + block * Ops::kWidth);
        for (int g = begin; g < end; g++) {
            const float *x[T];
            for (int t = 0; t < T; t++) x[t] = rows[t] + size_t(g) * kGroup;
            add_group<Ops, T>(args.tiles + size_t(g) * args.tile_stride, block, x, sums);
        }
        for (int t = 0; t < T; t++) Ops::store(out + t * kTileRows + block * Ops::kWidth, sums[t]);
    }
}

template <class Ops> void panel_f32(const PanelArgs &args) {
    for (int begin = 0; begin < args.groups; begin += kF32ChunkGroups) {
        const int end =
            begin + kF32ChunkGroups < args.groups ? begin + kF32ChunkGroups : args.groups;
        for (int g = end; g < end + kF32ChunkGroups && g < args.groups; g++)
            for (size_t line = 0; line < kTileBytes; line += 64)
                __builtin_prefetch(args.tiles + size_t(g) * args.tile_stride + line);
        int t = 0;
        for (; t + Ops::kTokens <= args.tokens; t += Ops::kTokens)
            add_chunk<Ops, Ops::kTokens>(args, t, begin, end);
        for (; t < args.tokens; t++) add_chunk<Ops, 1>(args, t, begin, end);
    }
}

template <class Ops> void down_f32(const DownArgs &args) {
    for (int tile = 0; tile < args.row_tiles; tile++)
        for (int t = 0; t < args.tokens; t++)
            for (int block = 0; block < kTileRows / Ops::kWidth; block++) {
                const float *x = reinterpret_cast<const float *>(args.groups[t]);
                float *out = args.outputs[t] + tile * kTileRows + block * Ops::kWidth;
                typename Ops::Lanes sum = args.first ? Ops::zero() : Ops::load(out);
                add_group<Ops, 1>(args.tiles + size_t(tile) * kTileBytes, block, &x, &sum);
                Ops::store(out, sum);
            }
}

inline void prepare_mxfp4_f32(const float *x, int groups, uint8_t *out) {
    __builtin_memcpy(out, x, size_t(groups) * kGroup * sizeof(float));
}

} // namespace
} // namespace ds4::ktb
