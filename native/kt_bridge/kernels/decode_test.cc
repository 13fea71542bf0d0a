// Every code and every scale through every kernel table.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/test.h"
#include "experts/loading/packing.h"
#include "experts/forward/reference.h"
#include "kernels/kernels.h"
#include "machine/instruction_sets.h"

using namespace ds4::ktb;
using ds4::Isa;

namespace {

// A tile whose row r has the given scale and codes. Four tiles are packed at once, and this is one
// of them.
constexpr int kPackGroups = kPackChannels / kGroup;
struct Tile {
    alignas(64) uint8_t bytes[kTileBytes];
    uint8_t codes[kTileRows][16];
    uint8_t scales[kTileRows];
    void pack(int place = 0) {
        uint8_t four_codes[kTileRows][64] = {}, four_scales[kTileRows][kPackGroups] = {};
        TileRows rows;
        for (int row = 0; row < kTileRows; row++) {
            std::copy(codes[row], codes[row] + 16, four_codes[row] + place * 16);
            four_scales[row][place] = scales[row];
            rows.codes[row] = four_codes[row], rows.scales[row] = four_scales[row];
        }
        constexpr size_t kApart = kTileBytes + 64;
        alignas(64) static uint8_t four[kPackGroups * kApart];
        pack_strip(Method::mxfp4, rows, {0, kGroup, kPackGroups, four, kApart});
        std::copy(four + size_t(place) * kApart, four + size_t(place) * kApart + kTileBytes, bytes);
    }
};

std::vector<const Kernels *> usable_kernels() {
    std::vector<const Kernels *> out;
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        for (Numerics numerics : {Numerics::int8, Numerics::bf16, Numerics::f32})
            if (ds4::machine::has(isa))
                out.push_back(kernels_for(Method::mxfp4, Method::mxfp4, isa, numerics));
    for (const Kernels *either : {&kAvx512Int8, &kAvx512Int8Decoding})
        if (ds4::machine::has(Isa::avx512)) out.push_back(either);
    return out;
}

double value_of(uint8_t nibble, int scale) {
    constexpr double kMagnitudes[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return std::ldexp(kMagnitudes[nibble & 7], scale - 127) * ((nibble & 8) != 0 ? -1 : 1);
}

// Activations of tokens, x: [tokens, groups * 32].
struct PreparedRows {
    PreparedRows(const Kernels &kernels, const std::vector<float> &x, int groups) {
        const size_t width = size_t(groups) * kGroup, tokens = x.size() / width,
                     row_bytes = size_t(groups) * kernels.group_bytes;
        bytes.resize(tokens * row_bytes + 64);
        for (size_t t = 0; t < tokens; t++) {
            kernels.prepare(&x[t * width], groups, bytes.data() + t * row_bytes);
            rows.push_back(bytes.data() + t * row_bytes);
        }
    }
    std::vector<uint8_t> bytes;
    std::vector<const uint8_t *> rows;
};

constexpr int kStripGroups = 21, kMostTokens = 47, kStripStride = 2 * int(kTileBytes);

// A strip of random tiles at a stride of two, with activations of the most tokens.
struct RandomStrip {
    RandomStrip()
        : experts(random_experts(1, kStripGroups * kGroup, kTileRows, 5)),
          x(random_values(size_t(kMostTokens) * kStripGroups * kGroup, 1.0f, 6)) {
        // A scale of 0 counts as zero. Such a tile has no short form.
        experts[0].scales[0][7 * kStripGroups + 12] = 0;
        for (int g = 0; g < kStripGroups; g++) {
            Tile tile;
            for (int row = 0; row < kTileRows; row++) {
                const size_t at = size_t(row * kStripGroups + g);
                tile.scales[row] = experts[0].scales[0][at];
                for (size_t i = 0; i < 16; i++)
                    tile.codes[row][i] = experts[0].codes[0][at * 16 + i];
            }
            tile.pack(g % kPackGroups);
            std::copy(tile.bytes, tile.bytes + kTileBytes, memory + g * kStripStride);
        }
    }
    double expected(int token, int row) const {
        double sum = 0;
        for (int k = 0; k < kStripGroups * kGroup; k++)
            sum += canonical_weight(experts[0], 0, row, k, kStripGroups * kGroup) *
                   double(x[size_t(token * kStripGroups * kGroup + k)]);
        return sum;
    }
    double relative_error(const std::vector<float> &sums) const {
        double error = 0, size = 0;
        for (size_t i = 0; i < sums.size(); i++) {
            const double wanted = expected(int(i) / kTileRows, int(i) % kTileRows);
            error += (double(sums[i]) - wanted) * (double(sums[i]) - wanted);
            size += wanted * wanted;
        }
        return std::sqrt(error / size);
    }
    std::vector<float> panel(const Kernels &kernels, const uint8_t *const *rows, int tokens) const {
        alignas(64) static uint8_t scratch[kPanelScratchBytes];
        std::vector<float> sums(size_t(tokens) * kTileRows, NAN);
        kernels.panel({memory, kStripStride, kStripGroups, rows, tokens, sums.data(), scratch});
        return sums;
    }
    // The same sums by down calls, a group at a time.
    std::vector<float> down(const Kernels &kernels, const std::vector<const uint8_t *> &rows,
                            int tokens) const {
        std::vector<float> sums(size_t(tokens) * kTileRows, NAN);
        std::vector<float *> outputs;
        for (int t = 0; t < tokens; t++) outputs.push_back(&sums[size_t(t) * kTileRows]);
        for (int g = 0; g < kStripGroups; g++) {
            std::vector<const uint8_t *> groups;
            for (int t = 0; t < tokens; t++)
                groups.push_back(rows[size_t(t)] + size_t(g) * kernels.group_bytes);
            kernels.down(
                {memory + g * kStripStride, 1, groups.data(), outputs.data(), tokens, g == 0});
        }
        return sums;
    }
    std::vector<CanonicalExpert> experts;
    std::vector<float> x;
    alignas(64) uint8_t memory[kStripGroups * kStripStride];
};

bool begins_with(const std::vector<float> &all, const std::vector<float> &part) {
    return std::memcmp(part.data(), all.data(), part.size() * sizeof(float)) == 0;
}

} // namespace

TEST("all 16 codes times all scales 1 to 254 decode exactly in every kernel") {
    // One-hot activations read single weights. 127 is exact in int8 (127 * amax / 127) and in bf16.
    for (const Kernels *kernels : usable_kernels()) {
        int wrong = 0;
        for (int scale = 1; scale <= 254; scale++) {
            Tile tile;
            for (int row = 0; row < kTileRows; row++) {
                tile.scales[row] = uint8_t(scale);
                for (int i = 0; i < 16; i++)
                    tile.codes[row][i] =
                        uint8_t(((row + 2 * i) & 15) | ((row + 2 * i + 1) & 15) << 4);
            }
            tile.pack();
            const int position = scale % kGroup;
            float x[kGroup] = {};
            x[position] = 127.0f;
            alignas(64) uint8_t group[128];
            kernels->prepare(x, 1, group);
            alignas(64) static uint8_t scratch[kPanelScratchBytes];
            float sums[kTileRows];
            const uint8_t *rows[1] = {group};
            kernels->panel({tile.bytes, kTileBytes, 1, rows, 1, sums, scratch});
            for (int row = 0; row < kTileRows; row++) {
                const double expected = 127 * value_of(uint8_t((row + position) & 15), scale);
                const bool right = std::fabs(expected) > 3.4e38 ? std::isinf(sums[row])
                                                                : sums[row] == float(expected);
                wrong += right ? 0 : 1;
            }
        }
        if (wrong != 0)
            ds4::test::record(__FILE__, __LINE__,
                              std::string(kernels->isa) + " " + kernels->numerics + ": " +
                                  std::to_string(wrong) + " wrong values");
    }
}

TEST("panels of any token count and down products of single groups have the same bits, strided "
     "tiles included") {
    static const RandomStrip strip;
    std::vector<float> either; // sums of the first of the two int8 tables on AVX-512
    for (const Kernels *kernels : usable_kernels()) {
        const PreparedRows prepared(*kernels, strip.x, kStripGroups);
        const std::vector<const uint8_t *> &rows = prepared.rows;
        std::vector<float> alone;
        for (int t = 0; t < kMostTokens; t++) {
            const std::vector<float> sums = strip.panel(*kernels, &rows[size_t(t)], 1);
            alone.insert(alone.end(), sums.begin(), sums.end());
        }
        if (kernels->panel == kAvx512Int8.panel || kernels->panel == kAvx512Int8Decoding.panel) {
            if (either.empty()) either = alone;
            CHECK(begins_with(either, alone));
        }
        for (int tokens : {1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 40, 41, 47}) {
            const std::vector<float> sums = strip.panel(*kernels, rows.data(), tokens);
            CHECK(begins_with(alone, sums)); // the other tokens change nothing
            CHECK(strip.relative_error(sums) <=
                  (std::string(kernels->numerics) == "int8" ? 1.2e-2 : 3e-3));
        }
        for (int tokens : {1, 2, 3, 5})
            CHECK(begins_with(alone, strip.down(*kernels, rows, tokens)));
    }
}

TEST("the largest sums that a group can have are exact for any token count") {
    constexpr int kTokens = 16;
    for (const Kernels *kernels : usable_kernels())
        for (const uint8_t code : {0x77, 0xff}) // 6, -6
            for (const float value : {127.0f, -127.0f})
                for (const int tokens : {1, 2, 4, kTokens}) {
                    Tile tile;
                    std::fill(tile.scales, tile.scales + kTileRows, uint8_t(127));
                    std::fill(&tile.codes[0][0], &tile.codes[0][0] + sizeof tile.codes, code);
                    tile.pack();
                    float x[kGroup], sums[kTokens * kTileRows];
                    std::fill(x, x + kGroup, value);
                    alignas(64) uint8_t group[128];
                    kernels->prepare(x, 1, group);
                    alignas(64) static uint8_t scratch[kPanelScratchBytes];
                    const std::vector<const uint8_t *> rows(size_t(tokens), group);
                    kernels->panel({tile.bytes, kTileBytes, 1, rows.data(), tokens, sums, scratch});
                    const float expected = float(kGroup) * 6 * (code == 0x77 ? value : -value);
                    CHECK(std::count(sums, sums + tokens * kTileRows, expected) ==
                          tokens * kTileRows);
                }
}

TEST("a token's bits are the same for any token count where scales are so small or large that "
     "their product with a group's scale is no normal float") {
    constexpr int kGroups = 11, kMost = 17;
    alignas(64) static uint8_t memory[kGroups * kTileBytes], scratch[kPanelScratchBytes];
    const std::vector<float> codes = random_values(kGroups * kTileCodeBytes, 50.0f, 7);
    struct Extreme {
        uint8_t scale,
            other; // of all rows of all tiles; of one row of one tile, which has no short form
        float deviation; // of activations
    };
    for (const Extreme &extreme :
         {Extreme{1, 0, 0.01f}, Extreme{9, 231, 1e-4f}, Extreme{230, 231, 1e9f}}) {
        for (int g = 0; g < kGroups; g++)
            for (size_t i = 0; i < kTileBytes; i++)
                memory[size_t(g) * kTileBytes + i] =
                    i < kTileCodeBytes ? uint8_t(int(codes[size_t(g) * kTileCodeBytes + i]))
                                       : extreme.scale;
        memory[3 * kTileBytes + kTileCodeBytes + 5] = extreme.other;
        const std::vector<float> x =
            random_values(size_t(kMost) * kGroups * kGroup, extreme.deviation, 8);
        for (const Kernels *kernels : usable_kernels()) {
            const PreparedRows prepared(*kernels, x, kGroups);
            const std::vector<const uint8_t *> &rows = prepared.rows;
            std::vector<float> alone(size_t(kMost) * kTileRows);
            for (int t = 0; t < kMost; t++)
                kernels->panel({memory, kTileBytes, kGroups, &rows[size_t(t)], 1,
                                &alone[size_t(t) * kTileRows], scratch});
            for (int tokens = 2; tokens <= kMost; tokens++) {
                std::vector<float> sums(size_t(tokens) * kTileRows, NAN);
                kernels->panel(
                    {memory, kTileBytes, kGroups, rows.data(), tokens, sums.data(), scratch});
                CHECK(std::memcmp(sums.data(), alone.data(), sums.size() * sizeof(float)) == 0);
            }
        }
    }
}

TEST("packing and unpacking a tile gives the same bytes") {
    Tile tile;
    for (int row = 0; row < kTileRows; row++) {
        tile.scales[row] = uint8_t(row * 3 + 1);
        for (int i = 0; i < 16; i++) tile.codes[row][i] = uint8_t(row * 16 + i * 7);
    }
    tile.pack();
    for (int row = 0; row < kTileRows; row++) {
        uint8_t codes[16], scale = 0;
        unpack_row(Method::mxfp4, tile.bytes, kGroup, row, codes, &scale);
        CHECK(scale == tile.scales[row]);
        for (int i = 0; i < 16; i++) CHECK(codes[i] == tile.codes[row][i]);
    }
}
