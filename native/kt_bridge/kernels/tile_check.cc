// Compares the tile unit with its definition, product by product, on a handful of tiles. It costs a
// millisecond.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "format/scalar.h"
#include "kernels/activations.h"
#include "kernels/table_check.h"

namespace ds4::ktb {
namespace {

constexpr int kGroups = 4, kTokens = 37, kPanels = 2; // three blocks, the last one not full

float flushed(float value) {
    return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
}

// The weight at place p of a prepared group: code times scale.
float weight_at(const uint8_t *tile, int row, int p) {
    const int input = bf16_source(p);
    const uint8_t code = tile[(row / 16) * 256 + input / 8 * 64 + (row % 16) * 4 + input % 8 / 2];
    return 0.5f * float(e2m1_doubled(uint32_t(code) >> (input % 2 * 4))) *
           e8m0_as_exponent(tile[kTileCodeBytes + size_t(row)]);
}

float activation_at(const uint8_t *group, int p) {
    uint16_t word;
    std::memcpy(&word, group + p * 2, sizeof word);
    return flushed(bf16_to_f32(word));
}

// Adds one group of one row and token to `sum`. The even and the odd places have f32 sums of their
// own. Every operation rounds to nearest even, and denormals are read and written as zero. Both
// sums are added, and then the sum before.
float continued(float sum, const uint8_t *tile, int row, const uint8_t *group) {
    float even = 0, odd = 0;
    for (int p = 0; p < kGroup; p += 2) {
        even = flushed(std::fma(activation_at(group, p), weight_at(tile, row, p), even));
        odd = flushed(std::fma(activation_at(group, p + 1), weight_at(tile, row, p + 1), odd));
    }
    return flushed(flushed(sum) + flushed(even + odd));
}

void prepare(const float *x, int groups, uint8_t *row) {
    for (int g = 0; g < groups; g++, x += kGroup, row += kBlockGroupBytes)
        for (int p = 0; p < kGroup; p++) {
            const uint16_t word = f32_to_bf16(x[bf16_source(p)]);
            std::memcpy(row + p * 2, &word, sizeof word);
        }
}

void panels(const TilePanelArgs &args) {
    for (int t = 0; t < args.tokens; t++) {
        const uint8_t *groups = args.blocks + size_t(t / kBlockTokens) * args.block_stride +
                                size_t(t % kBlockTokens) * 64;
        for (int row = 0; row < args.panels * kTileRows; row++) {
            const size_t panel = size_t(row / kTileRows);
            const uint8_t *tile = args.tiles + panel * args.panel_stride;
            float sum = 0;
            for (int g = 0; g < args.groups; g++, tile += args.tile_stride)
                sum = continued(sum, tile, row % kTileRows, groups + size_t(g) * kBlockGroupBytes);
            args.sums[panel * args.panel_sums() + size_t(t) * kTileRows + size_t(row % kTileRows)] =
                sum;
        }
    }
}

void nothing() {}

struct Buffers {
    static constexpr size_t kBlocks = (kTokens + kBlockTokens - 1) / kBlockTokens,
                            kBlockStride = size_t(kGroups) * kBlockGroupBytes;
    alignas(64) uint8_t weights[kPanels * kGroups * kTileBytes], blocks[kBlocks * kBlockStride],
        scratch[kTileScratchBytes];
    alignas(64) float sums[kPanels * kBlocks * kBlockTokens * kTileRows];

    explicit Buffers(const TileKernels &tiles) : blocks{}, sums{} {
        uint32_t state = 1;
        const auto random = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
        for (size_t i = 0; i < sizeof weights; i++)
            weights[i] = uint8_t(i % kTileBytes < kTileCodeBytes ? random() : 110 + random() % 20);
        tiles.begin();
        for (size_t t = 0; t < kTokens; t++) {
            float x[kGroups * kGroup];
            for (float &value : x) value = float(int32_t(random()) - (1 << 23)) / float(1 << 22);
            tiles.prepare(x, kGroups,
                          blocks + t / kBlockTokens * kBlockStride + t % kBlockTokens * 64);
        }
        tiles.panels({weights, kTileBytes, kGroups * kTileBytes, kPanels, kGroups, blocks,
                      kBlockStride, kTokens, sums, scratch});
        tiles.end();
    }
};

} // namespace

const TileKernels kDefinedTiles = {"definition", nothing, nothing, prepare, panels};

std::string check_tiles(const TileKernels &tiles) {
    const auto expected = std::make_unique<Buffers>(kDefinedTiles),
               got = std::make_unique<Buffers>(tiles);
    if (std::memcmp(got->blocks, expected->blocks, sizeof got->blocks) != 0)
        return "activations are prepared otherwise than the unit's definition says";
    constexpr int kSums = kPanels * kTokens * kTileRows;
    int wrong = 0;
    for (int i = 0; i < kSums; i++) {
        const size_t at =
            size_t(i / (kTokens * kTileRows)) * Buffers::kBlocks * kBlockTokens * kTileRows +
            size_t(i % (kTokens * kTileRows));
        wrong += std::memcmp(&expected->sums[at], &got->sums[at], sizeof(float)) == 0 ? 0 : 1;
    }
    if (wrong == 0) return "";
    char text[96];
    std::snprintf(text, sizeof text, "%d of %d sums differ from the unit's definition", wrong,
                  kSums);
    return text;
}

} // namespace ds4::ktb
