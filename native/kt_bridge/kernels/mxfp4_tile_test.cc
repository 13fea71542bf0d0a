// The tile panel on an emulated tile unit, instruction by instruction, against float64. The
// processor's unit, if there is one, is compared with the emulation.
#include <cmath>
#include <cstring>
#include <tuple>
#include <vector>

#include "base/test.h"
#include "experts/loading/packing.h"
#include "experts/forward/reference.h"
#include "kernels/mxfp4_tile_panel.h"
#include "format/scalar.h"
#include "kernels/activations.h"
#include "machine/instruction_sets.h"

using namespace ds4::ktb;
using namespace ds4;

namespace {

uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
float flushed(float value) {
    return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
}

// An emulation of the instructions. The even and the odd inputs have f32 sums from zero; their sum
// is added to c. Every operation rounds to nearest even, and denormals are read and written as
// zero.
struct EmulatedUnit {
    static inline uint8_t registers[8][16][64];
    static float word(const uint8_t *at) {
        uint16_t bits;
        std::memcpy(&bits, at, 2);
        return flushed(bf16_to_f32(bits));
    }
    template <int t> static void zero() { std::memset(registers[t], 0, sizeof registers[t]); }
    template <int t> static void load(const void *address, size_t stride) {
        for (int row = 0; row < 16; row++)
            std::memcpy(registers[t][row],
                        static_cast<const uint8_t *>(address) + size_t(row) * stride, 64);
    }
    template <int t> static void store(void *address, size_t stride) {
        for (int row = 0; row < 16; row++)
            std::memcpy(static_cast<uint8_t *>(address) + size_t(row) * stride, registers[t][row],
                        64);
    }
    template <int c, int a, int b> static void dot() {
        for (int m = 0; m < 16; m++)
            for (int n = 0; n < 16; n++) {
                float even = 0, odd = 0, sum;
                for (int k = 0; k < 16; k++) {
                    even = flushed(std::fma(word(registers[a][m] + k * 4),
                                            word(registers[b][k] + n * 4), even));
                    odd = flushed(std::fma(word(registers[a][m] + k * 4 + 2),
                                           word(registers[b][k] + n * 4 + 2), odd));
                }
                std::memcpy(&sum, registers[c][m] + n * 4, 4);
                sum = flushed(flushed(sum) + flushed(even + odd));
                std::memcpy(registers[c][m] + n * 4, &sum, 4);
            }
    }
    static void fetch(const uint8_t *) {}
    static void decode(const uint8_t *tile, int b, uint8_t *out) {
        for (int row = b * 16; row < (b + 1) * 16; row++) {
            uint8_t codes[16], scale;
            unpack_row(Method::mxfp4, tile, kGroup, row, codes, &scale);
            for (int p = 0; p < kGroup; p++) {
                const int k = bf16_source(p);
                const float value = 0.5f *
                                    float(e2m1_doubled(uint32_t(codes[k / 2]) >> (k % 2 * 4))) *
                                    e8m0_as_exponent(scale);
                const uint16_t bits = f32_to_bf16(value);
                std::memcpy(out + size_t(p / 2) * 64 + size_t(row % 16) * 4 + size_t(p % 2) * 2,
                            &bits, 2);
            }
        }
    }
};

// `groups` weight tiles of each panel at a stride of two, and `tokens` activations in blocks
// between guard bytes.
struct Problem {
    static constexpr size_t kStride = 2 * kTileBytes;
    int groups, tokens, panels, blocks;
    std::vector<CanonicalExpert> experts;
    std::vector<float> x;
    std::vector<uint8_t> memory;
    uint8_t *tiles, *activations, *scratch;
    float *sums;
    Problem(int groups_, int tokens_, int panels_)
        : groups(groups_), tokens(tokens_), panels(panels_),
          blocks((tokens_ + kBlockTokens - 1) / kBlockTokens) {
        experts = random_experts(1, groups * kGroup, panels * kTileRows, 61);
        x = random_values(size_t(tokens) * size_t(groups) * kGroup, 1.0f, 62);
        const size_t tile_bytes = size_t(panels) * panel_stride(),
                     block_bytes = size_t(blocks) * size_t(groups) * kBlockGroupBytes;
        const size_t sum_bytes = (size_t(panels) * size_t(blocks) + 1) * kBlockTokens * kSumStride;
        memory.assign(tile_bytes + block_bytes + kTileScratchBytes + sum_bytes + 64,
                      0xff); // NaN wherever nothing is written
        tiles = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
        activations = tiles + tile_bytes;
        scratch = activations + block_bytes;
        sums = reinterpret_cast<float *>(scratch + kTileScratchBytes);
        for (int p = 0; p < panels; p++) {
            TileRows rows;
            for (int row = 0; row < kTileRows; row++) {
                const size_t at = (size_t(p) * kTileRows + size_t(row)) * size_t(groups);
                rows.codes[row] = experts[0].codes[0].data() + at * 16;
                rows.scales[row] = experts[0].scales[0].data() + at;
            }
            pack_strip(Method::mxfp4, rows,
                       {0, kGroup, groups, tiles + size_t(p) * panel_stride(), kStride});
        }
        for (int t = 0; t < tokens; t++)
            for (int p = 0; p < groups * kGroup; p++) {
                const uint16_t bits =
                    f32_to_bf16(x[size_t(t) * size_t(groups) * kGroup +
                                  size_t(p / kGroup * kGroup + bf16_source(p % kGroup))]);
                std::memcpy(block_row(t) + size_t(p / kGroup) * kBlockGroupBytes +
                                size_t(p % kGroup) * 2,
                            &bits, 2);
            }
    }
    uint8_t *block_row(int token) const {
        return activations + size_t(token / kBlockTokens) * size_t(groups) * kBlockGroupBytes +
               size_t(token % kBlockTokens) * 64;
    }
    size_t panel_stride() const { return (size_t(groups) * kStride + 63) / 64 * 64; }
    TilePanelArgs args() const {
        return {tiles,
                kStride,
                panel_stride(),
                panels,
                groups,
                activations,
                size_t(groups) * kBlockGroupBytes,
                tokens,
                sums,
                scratch};
    }
    double error() const {
        double wrong = 0, size = 0;
        for (int t = 0; t < tokens; t++)
            for (int row = 0; row < panels * kTileRows; row++) {
                double expected = 0;
                for (int k = 0; k < groups * kGroup; k++)
                    expected += canonical_weight(experts[0], 0, row, k, groups * kGroup) *
                                double(x[size_t(t * groups * kGroup + k)]);
                const double difference = double(sum_of(t, row)) - expected;
                wrong += difference * difference, size += expected * expected;
            }
        return std::sqrt(wrong / size);
    }
    float sum_of(int token, int row) const {
        return sums[size_t(row / kTileRows) * args().panel_sums() + size_t(token) * kTileRows +
                    size_t(row % kTileRows)];
    }
    bool guarded() const { // the block after the last keeps its bytes
        for (int i = 0; i < kBlockTokens * kTileRows; i++) {
            uint32_t bits;
            std::memcpy(&bits, sums + panels * blocks * kBlockTokens * kTileRows + i, 4);
            if (bits != 0xffffffffu) return false;
        }
        return true;
    }
};

} // namespace

TEST("the tile panel agrees with float64 on the emulated unit, at every count of blocks and "
     "inputs") {
    for (const auto &[groups, tokens, panels] :
         {std::tuple{4, 1, 1}, {4, 16, 2}, {8, 17, 3}, {36, 32, 1}, {64, 33, 4}, {68, 50, 2}}) {
        Problem given(groups, tokens, panels);
        tile_panels<EmulatedUnit>(given.args());
        CHECK(given.error() <= 3e-3);
        CHECK(given.guarded());
    }
}

TEST("the processor's tile unit gives the bits of the emulation, and prepares activations in its "
     "order") {
    const TileKernels *kernels =
        ds4::machine::has(Isa::amx) ? tile_kernels_for(Method::mxfp4, Isa::amx) : nullptr;
    if (kernels == nullptr) return; // no AMX here
    for (const auto &[groups, tokens, panels] :
         {std::tuple{4, 1, 2}, {8, 17, 1}, {36, 32, 4}, {64, 33, 3}, {68, 50, 1}}) {
        Problem emulated(groups, tokens, panels), real(groups, tokens, panels);
        tile_panels<EmulatedUnit>(emulated.args());
        for (int t = 0; t < tokens; t++)
            kernels->prepare(&real.x[size_t(t * groups * kGroup)], groups, real.block_row(t));
        CHECK(std::memcmp(emulated.activations, real.activations,
                          size_t(real.blocks) * size_t(groups) * kBlockGroupBytes) == 0);
        kernels->begin();
        kernels->panels(real.args());
        kernels->end();
        for (int t = 0; t < tokens; t++)
            for (int row = 0; row < panels * kTileRows; row++)
                CHECK(bits_of(emulated.sum_of(t, row)) == bits_of(real.sum_of(t, row)));
        CHECK(real.guarded());
    }
}
