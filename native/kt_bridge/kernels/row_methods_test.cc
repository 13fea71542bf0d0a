// The tiles of every method through every kernel table: single weights, and independence of the tokens around.
#include <algorithm>

#include "api/method_experts.h"
#include "base/test.h"
#include "experts/packing.h"
#include "experts/stored_matrix.h"
#include "kernels/kernels.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr int kInputs = 256;

// One tile of 64 rows x 256 inputs; MXFP4 has one per 32 inputs.
struct PackedTile {
    explicit PackedTile(const StorageCase &storage) : values(storage.format, kTileRows, kInputs, 5) {
        find_method(storage.method, method);
        const MatrixShape shape{method, kTileRows, kInputs};
        std::vector<uint8_t> scales(size_t(shape.scale_count()) * size_t(method_traits(method).scale_bytes));
        const ScaleFormat format = storage.format == KTB_FORMAT_FP4 || storage.format == KTB_FORMAT_FP8 ? ScaleFormat::e8m0 : values.scales.empty() ? ScaleFormat::none : ScaleFormat::f32;
        canonical_scales(method, format, values.scales.data(), scales.empty() ? 0 : size_t(shape.scale_count()), scales.data(), storage.name);
        TileRows rows{};
        for (int row = 0; row < kTileRows; row++) {
            rows.codes[row] = values.data.data() + size_t(row) * shape.row_bytes();
            rows.scales[row] = scales.data() + size_t(shape.scale_row(row)) * scale_row_bytes(method, kInputs);
        }
        inputs = method == Method::mxfp4 ? kGroup : kInputs;
        bytes.resize(tile_bytes(method, inputs) * size_t(kInputs / inputs) + 64);
        first = bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
        pack_strip(method, rows, {0, inputs, kInputs / inputs, first, tile_bytes(method, inputs)});
    }
    // [tokens, 64]
    std::vector<float> multiply(const Kernels &kernels, const std::vector<float> &x) const {
        const int tokens = int(x.size()) / kInputs;
        const size_t width = kInputs / kGroup * kernels.group_bytes;
        std::vector<uint8_t> memory(width * size_t(tokens) + kPanelScratchBytes + 128);
        uint8_t *const scratch = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64, *const prepared = scratch + kPanelScratchBytes;
        std::vector<const uint8_t *> rows;
        for (int token = 0; token < tokens; token++) {
            kernels.prepare(x.data() + token * kInputs, kInputs / kGroup, prepared + size_t(token) * width);
            rows.push_back(prepared + size_t(token) * width);
        }
        std::vector<float> sums(size_t(tokens) * kTileRows, NAN);
        kernels.panel({first, tile_bytes(method, inputs), kInputs / kGroup, rows.data(), tokens, sums.data(), scratch, inputs / kGroup});
        return sums;
    }
    Method method{};
    StoredValues values;
    int inputs = 0;
    std::vector<uint8_t> bytes;
    uint8_t *first = nullptr;
};

} // namespace

TEST("unit vectors read the weights of every method exactly, in f32 and in every instruction set") {
    std::vector<float> units(size_t(kInputs) * kInputs, 0.0f);
    for (size_t i = 0; i < kInputs; i++) units[i * kInputs + i] = 1.0f;
    for (const StorageCase &storage : kStorageCases) {
        if (storage.format == KTB_FORMAT_MXFP4) continue; // the same tiles as FP4
        const PackedTile tile(storage);
        std::vector<double> row(kInputs);
        for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
            if (!cpu_has(isa)) continue;
            const std::vector<float> sums = tile.multiply(*kernels_for(tile.method, tile.method, isa, Numerics::f32), units);
            int wrong = 0;
            for (int i = 0; i < kTileRows; i++) {
                tile.values.decode_row(i, row);
                for (size_t column = 0; column < kInputs; column++) wrong += sums[column * kTileRows + size_t(i)] == float(row[column]) ? 0 : 1;
            }
            if (wrong != 0) ds4::test::record(__FILE__, __LINE__, std::string(storage.name) + " " + isa_name(isa) + ": " + std::to_string(wrong) + " wrong weights");
        }
    }
}

TEST("a token's sums have the same bits whatever tokens are around it, for every method and table") {
    const std::vector<float> x = random_values(31u * kInputs, 1.0f, 8);
    for (const StorageCase &storage : kStorageCases) {
        if (storage.method == KTB_MXFP4) continue; // MXFP4 is tested apart
        const PackedTile tile(storage);
        for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
            for (Numerics numerics : {Numerics::int8, Numerics::bf16, Numerics::f32}) {
                if (!cpu_has(isa)) continue;
                const Kernels &kernels = *kernels_for(tile.method, tile.method, isa, numerics);
                const std::vector<float> together = tile.multiply(kernels, x);
                int wrong = 0;
                for (size_t first = 0, count = 1; first + count <= 31; first += count, count++) {
                    const std::vector<float> some = tile.multiply(kernels, {x.begin() + long(first) * kInputs, x.begin() + long(first + count) * kInputs});
                    wrong += std::equal(some.begin(), some.end(), together.begin() + long(first) * kTileRows) ? 0 : 1;
                }
                if (wrong != 0) ds4::test::record(__FILE__, __LINE__, std::string(storage.name) + " " + isa_name(isa) + " " + kernels.numerics + ": " + std::to_string(wrong) + " groups of tokens differ");
            }
    }
}

TEST("MXFP4 with f32 activations has the same bits whatever tokens are around") {
    const std::vector<float> x = random_values(31u * kInputs, 1.0f, 8);
    const PackedTile tile(kStorageCases[0]);
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
        if (!cpu_has(isa)) continue;
        const Kernels &kernels = *kernels_for(tile.method, tile.method, isa, Numerics::f32);
        const std::vector<float> together = tile.multiply(kernels, x);
        for (long token = 0; token < 31; token++) {
            const std::vector<float> one = tile.multiply(kernels, {x.begin() + token * kInputs, x.begin() + (token + 1) * kInputs});
            CHECK(std::equal(one.begin(), one.end(), together.begin() + token * kTileRows));
        }
    }
}
