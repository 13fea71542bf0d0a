#include "kernels/formats/format_probe.h"

#include "base/fail.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/formats/iq2_xxs.cuh"
#include "kernels/formats/mxfp4.cuh"
#include "kernels/formats/q2_k.cuh"
#include "kernels/formats/q4_k.cuh"

namespace ds4::kernels {
namespace {

using namespace ds4::device;
using namespace ds4::kernels::formats;

template <typename Format>
__device__ void values_by_codes(const typename Format::Raw &raw, int group, const uint32_t *table,
                                float (&out)[2][8]) {
    GroupCodes codes;
    Format::codes(raw, group, codes);
    if (table != nullptr)
        Format::words(raw, group, typename Format::SharedTable(table), codes.codes);
    for (int i = 0; i < 16; i++) {
        const int half = i / 8, word = i % 8 / 4 * 2 + half;
        out[half][i % 8] = codes.scale[half] * signed_byte(codes.codes[word], i % 4);
        if constexpr (Format::kHasMinimums)
            out[half][i % 8] -=
                codes.minimum_scale[half] * signed_byte(codes.minimums[word], i % 4);
    }
}

// A warp a strip.
template <typename Format> __global__ void format_probe_kernel(FormatProbeParams p) {
    uint32_t *table = &shared_memory<uint32_t>();
    Format::SharedTable::fill(table);
    __syncthreads();
    constexpr int64_t kLine = kLineBytes;
    const int64_t side = (p.tiles * Format::kSideBytes + kLine - 1) / kLine * kLine,
                  strip = blockIdx.x, cols = p.tiles * kTileCols;
    const uint8_t *from = p.packed + strip * (p.tiles * Format::kTileBytes + side);
    for (int64_t tile = 0; tile < p.tiles; tile++) {
        const auto raw = Format::template load<ReadGlobal>(from + tile * Format::kTileBytes,
                                                           from + p.tiles * Format::kTileBytes +
                                                               tile * Format::kSideBytes);
#pragma unroll
        for (int group = 0; group < kTileGroups; group++) {
            float values[2][8];
            if (p.by == DecodedBy::values)
                Format::values(raw, group, values);
            else
                values_by_codes<Format>(raw, group,
                                        p.by == DecodedBy::shared_codes ? table : nullptr, values);
            const int64_t row = strip * kTileRows + lane() / 4,
                          column = tile * kTileCols + group * kGroupCols + lane() % 4 * 8;
            for (int i = 0; i < 16; i++)
                p.out[(row + i / 8 * 8) * cols + column + i % 8] = values[i / 8][i % 8];
        }
    }
}

template <typename Format>
void launch_probe(int64_t strips, const FormatProbeParams &params, Stream &stream) {
    launch(format_probe_kernel<Format>,
           {.blocks = strips, .threads = 32, .shared_bytes = Format::SharedTable::kWords * 4},
           stream, params);
}

} // namespace

void format_probe(uint32_t type, int64_t strips, const FormatProbeParams &params, Stream &stream) {
    switch (type) {
    case DS4_TYPE_IQ2_XXS: return launch_probe<Iq2Xxs>(strips, params, stream);
    case DS4_TYPE_Q2_K: return launch_probe<Q2K>(strips, params, stream);
    case DS4_TYPE_Q4_K: return launch_probe<Q4K>(strips, params, stream);
    case DS4_TYPE_MXFP4:
    case DS4_TYPE_FP4_PACKED: return launch_probe<Mxfp4>(strips, params, stream);
    default: fail(DS4_ERR_ARGUMENT, "the probe knows no tensor type %u", type);
    }
}

} // namespace ds4::kernels
