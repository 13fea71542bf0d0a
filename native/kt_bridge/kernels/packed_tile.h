// Test support: one tile of every storage format, multiplied by any kernel table.
#pragma once
#include <vector>

#include "api/method_experts.h"
#include "experts/loading/packing.h"
#include "experts/loading/stored_matrix.h"
#include "kernels/kernels.h"

namespace ds4::ktb::test {

constexpr int kInputs = 256; // of the tiles

// One tile of 64 rows x 256 inputs; MXFP4 has one per 32 inputs.
struct PackedTile {
    explicit PackedTile(const StorageCase &storage)
        : values(storage.format, kTileRows, kInputs, 5) {
        find_method(storage.method, method);
        const MatrixShape shape{method, kTileRows, kInputs};
        std::vector<uint8_t> scales(size_t(shape.scale_count()) *
                                    size_t(method_traits(method).scale_bytes));
        const ScaleFormat format =
            storage.format == KTB_FORMAT_FP4 || storage.format == KTB_FORMAT_FP8 ? ScaleFormat::e8m0
            : values.scales.empty()                                              ? ScaleFormat::none
                                                                                 : ScaleFormat::f32;
        canonical_scales(method, format, values.scales.data(),
                         scales.empty() ? 0 : size_t(shape.scale_count()), scales.data(),
                         storage.name);
        TileRows rows{};
        for (int row = 0; row < kTileRows; row++) {
            rows.codes[row] = values.data.data() + size_t(row) * shape.row_bytes();
            rows.scales[row] =
                scales.data() + size_t(shape.scale_row(row)) * scale_row_bytes(method, kInputs);
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
        uint8_t *const scratch = memory.data() +
                                 (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64,
                       *const prepared = scratch + kPanelScratchBytes;
        std::vector<const uint8_t *> rows;
        for (int token = 0; token < tokens; token++) {
            kernels.prepare(x.data() + token * kInputs, kInputs / kGroup,
                            prepared + size_t(token) * width);
            rows.push_back(prepared + size_t(token) * width);
        }
        std::vector<float> sums(size_t(tokens) * kTileRows, NAN);
        kernels.panel({first, tile_bytes(method, inputs), kInputs / kGroup, rows.data(), tokens,
                       sums.data(), scratch, inputs / kGroup});
        return sums;
    }
    Method method{};
    StoredValues values;
    int inputs = 0;
    std::vector<uint8_t> bytes;
    uint8_t *first = nullptr;
};

} // namespace ds4::ktb::test
