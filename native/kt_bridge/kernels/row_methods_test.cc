// The tiles of every method through every kernel table: single weights, and independence of the
// tokens around.
#include <algorithm>

#include "base/test.h"
#include "kernels/packed_tile.h"
#include "machine/instruction_sets.h"

using namespace ds4::ktb;
using ds4::Isa;
using ds4::isa_name;
using namespace ds4::ktb::test;

TEST("unit vectors read the weights of every method exactly, in f32 and in every instruction set") {
    std::vector<float> units(size_t(kInputs) * kInputs, 0.0f);
    for (size_t i = 0; i < kInputs; i++) units[i * kInputs + i] = 1.0f;
    for (const StorageCase &storage : kStorageCases) {
        if (storage.format == KTB_FORMAT_MXFP4) continue; // the same tiles as FP4
        const PackedTile tile(storage);
        std::vector<double> row(kInputs);
        for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
            if (!ds4::machine::has(isa)) continue;
            const std::vector<float> sums =
                tile.multiply(*kernels_for(tile.method, tile.method, isa, Numerics::f32), units);
            int wrong = 0;
            for (int i = 0; i < kTileRows; i++) {
                tile.values.decode_row(i, row);
                for (size_t column = 0; column < kInputs; column++)
                    wrong += sums[column * kTileRows + size_t(i)] == float(row[column]) ? 0 : 1;
            }
            if (wrong != 0)
                ds4::test::record(__FILE__, __LINE__,
                                  std::string(storage.name) + " " + isa_name(isa) + ": " +
                                      std::to_string(wrong) + " wrong weights");
        }
    }
}

TEST(
    "a token's sums have the same bits whatever tokens are around it, for every method and table") {
    const std::vector<float> x = random_values(31u * kInputs, 1.0f, 8);
    for (const StorageCase &storage : kStorageCases) {
        if (storage.method == KTB_MXFP4) continue; // MXFP4 is tested apart
        const PackedTile tile(storage);
        for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
            for (Numerics numerics : {Numerics::int8, Numerics::bf16, Numerics::f32}) {
                if (!ds4::machine::has(isa)) continue;
                const Kernels &kernels = *kernels_for(tile.method, tile.method, isa, numerics);
                const std::vector<float> together = tile.multiply(kernels, x);
                int wrong = 0;
                for (size_t first = 0, count = 1; first + count <= 31; first += count, count++) {
                    const std::vector<float> some =
                        tile.multiply(kernels, {x.begin() + long(first) * kInputs,
                                                x.begin() + long(first + count) * kInputs});
                    wrong += std::equal(some.begin(), some.end(),
                                        together.begin() + long(first) * kTileRows)
                                 ? 0
                                 : 1;
                }
                if (wrong != 0)
                    ds4::test::record(__FILE__, __LINE__,
                                      std::string(storage.name) + " " + isa_name(isa) + " " +
                                          kernels.numerics + ": " + std::to_string(wrong) +
                                          " groups of tokens differ");
            }
    }
}

TEST("MXFP4 with f32 activations has the same bits whatever tokens are around") {
    const std::vector<float> x = random_values(31u * kInputs, 1.0f, 8);
    const PackedTile tile(kStorageCases[0]);
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
        if (!ds4::machine::has(isa)) continue;
        const Kernels &kernels = *kernels_for(tile.method, tile.method, isa, Numerics::f32);
        const std::vector<float> together = tile.multiply(kernels, x);
        for (long token = 0; token < 31; token++) {
            const std::vector<float> one = tile.multiply(
                kernels, {x.begin() + token * kInputs, x.begin() + (token + 1) * kInputs});
            CHECK(std::equal(one.begin(), one.end(), together.begin() + token * kTileRows));
        }
    }
}
