#include "kernels/embed/embed.h"

#include <algorithm>
#include <iterator>

#include "base/fail.h"
#include "device/launch.h"
#include "format/convert.h"
#include "format/iq2xxs.h"
#include "kernels/embed/stored_value.cuh"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kEmbedThreads = 128, kEmbedChannels = 4 * kEmbedThreads; // of a block

struct EmbedKernelParams {
    EmbedParams in;
    int64_t row_bytes, row_scales; // scales of one row
    GridLevels grid;
};

__global__ void embed_kernel(EmbedKernelParams p) {
    const int row = int(blockIdx.x);
    const int first = int(blockIdx.y) * kEmbedChannels + int(threadIdx.x) * 4;
    await_previous();
    let_next_begin();
    if (p.in.step.row_sequence[row] < 0 || first >= p.in.hidden) return;
    const int64_t token = p.in.step.tokens[row];
    float values[4] = {};
    if (token >= 0 && token < p.in.vocab) {
        const int64_t scale_row = p.in.type == DS4_TYPE_F8_E4M3 ? token / 128 : token;
        for (int i = 0; i < 4; i++)
            values[i] = stored_value(p.in.type, p.in.rows + token * p.row_bytes,
                                     p.in.scales + scale_row * p.row_scales, p.grid, first + i);
    }
    float *out = p.in.out + int64_t(row) * p.in.streams * p.in.hidden + first;
    for (int k = 0; k < p.in.streams; k++)
        *reinterpret_cast<float4 *>(out + int64_t(k) * p.in.hidden) =
            make_float4(values[0], values[1], values[2], values[3]);
}

bool has_values(uint32_t type) {
    constexpr uint32_t kTypes[] = {
        DS4_TYPE_F32,  DS4_TYPE_F16,     DS4_TYPE_BF16,  DS4_TYPE_Q8_0,    DS4_TYPE_Q2_K,
        DS4_TYPE_Q4_K, DS4_TYPE_IQ2_XXS, DS4_TYPE_MXFP4, DS4_TYPE_F8_E4M3, DS4_TYPE_FP4_PACKED};
    return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

} // namespace

void embed(const EmbedParams &params, device::Stream &stream) {
    EmbedKernelParams all{};
    all.in = params;
    all.row_bytes = int64_t(row_bytes(params.type, uint64_t(params.hidden)));
    if (!has_values(params.type) || all.row_bytes == 0 || params.hidden % 32 != 0)
        fail(DS4_ERR_ARGUMENT,
             "an embedding table of type %u has rows of %d values; expected a "
             "type of weights and a multiple of its block and of 32",
             params.type, params.hidden);
    if (type_traits(params.type)->separate_scales)
        all.row_scales =
            params.type == DS4_TYPE_F8_E4M3 ? (params.hidden + 127) / 128 : params.hidden / 32;
    std::copy_n(kIq2XxsLevels.rows, 256, all.grid.rows);
    launch(embed_kernel,
           {.blocks = params.step.rows,
            .blocks_y = (params.hidden + kEmbedChannels - 1) / kEmbedChannels,
            .threads = kEmbedThreads,
            .after_trigger = true},
           stream, all);
}

} // namespace ds4::kernels
