// Packed bytes of experts against the layout that kt_bridge.h and docs/formats describe.
#include <cstring>

#include "api/slots_layers.h"
#include "base/test.h"
#include "format/convert.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{6, 2, 256, 512};

StoredExperts experts_of(const std::string &gate_up, const std::string &down, uint64_t seed) {
    return StoredExperts(storage_named(gate_up), storage_named(down), kShape, seed);
}

const void *address_of(ktb_moe_t moe, int part, int expert) {
    const void *address = nullptr;
    size_t bytes = 0;
    ktb_moe_packed(moe, part, expert, &address, &bytes);
    return address;
}

// Reads canonical codes of one matrix from the bytes of the parts, by the description in
// kt_bridge.h alone.
struct HeaderLayout {
    HeaderLayout(const StorageCase &of, const StorageCase &down_of) : gate_up(of), down(down_of) {
        const auto is_mxfp4 = [](const StorageCase &storage) {
            return storage.method == KTB_MXFP4;
        };
        const auto has_long_blocks = [](const StorageCase &storage) {
            return storage.method == KTB_Q2_K || storage.method == KTB_Q4_K ||
                   storage.method == KTB_IQ2_XXS;
        };
        channels = is_mxfp4(down) ? 32 : has_long_blocks(down) ? 256 : 128;
        unit = is_mxfp4(gate_up) ? 32 : kShape.hidden;
    }
    size_t row(const StorageCase &storage, int values) const {
        if (storage.method == KTB_MXFP4) return size_t(values) / 2;
        return storage.method == KTB_FP8 || storage.method == KTB_FP8_PERCHANNEL
                   ? size_t(values)
                   : size_t(ds4::row_bytes(storage.format, uint64_t(values)));
    }
    size_t tile(const StorageCase &storage, int inputs) const {
        if (storage.method == KTB_MXFP4) return 1088;
        return 64 * row(storage, inputs) + (storage.method == KTB_FP8
                                                ? size_t(2 * inputs / 128 * 4 + 63) / 64 * 64
                                            : storage.method == KTB_FP8_PERCHANNEL ? 256
                                                                                   : 0);
    }
    size_t panel() const { return size_t(kShape.hidden / unit) * tile(gate_up, unit); }
    size_t record() const {
        return size_t(channels / 32) * panel() + size_t(kShape.hidden / 64) * tile(down, channels);
    }
    // Copies a row piece out of a tile.
    void take(const StorageCase &storage, const uint8_t *from, int row_index, int inputs,
              uint8_t *codes) const {
        if (storage.method != KTB_MXFP4) {
            std::memcpy(codes, from + size_t(row_index) * row(storage, inputs),
                        row(storage, inputs));
            return;
        }
        for (int v = 0; v < 4; v++)
            std::memcpy(codes + 4 * v, from + (4 * (row_index / 16) + v) * 64 + row_index % 16 * 4,
                        4);
    }
    std::vector<uint8_t> codes(ktb_moe_t moe, int expert, int matrix,
                               const std::vector<int> &part_slices) const {
        const bool is_down = matrix == 2;
        const StorageCase &storage = is_down ? down : gate_up;
        const int rows = is_down ? kShape.hidden : kShape.intermediate,
                  columns = is_down ? kShape.intermediate : kShape.hidden;
        std::vector<uint8_t> out(size_t(rows) * row(storage, columns));
        int first = 0; // channel of the slice
        for (int part = 0; part < int(part_slices.size()); part++)
            for (int slice = 0; slice < part_slices[size_t(part)]; slice++, first += channels) {
                const uint8_t *at = static_cast<const uint8_t *>(address_of(moe, part, expert)) +
                                    size_t(slice) * record();
                if (is_down) {
                    at += size_t(channels / 32) * panel();
                    for (int r = 0; r < rows; r++)
                        take(storage, at + size_t(r / 64) * tile(down, channels), r % 64, channels,
                             &out[size_t(r) * row(storage, columns) + row(storage, first)]);
                    continue;
                }
                for (int c = 0; c < channels; c++)
                    for (int input = 0; input < columns; input += unit)
                        take(storage,
                             at + size_t(c / 32) * panel() +
                                 size_t(input / unit) * tile(gate_up, unit),
                             c % 32 + (matrix == 1 ? 32 : 0), unit,
                             &out[size_t(first + c) * row(storage, columns) + row(storage, input)]);
            }
        return out;
    }
    StorageCase gate_up, down;
    int channels, unit;
};

} // namespace

TEST("packed bytes are laid out as the header says, for every method") {
    for (const StorageCase &storage : kStorageCases) {
        if (std::strcmp(storage.name, "MXFP4") == 0)
            continue; // FP4 in other blocks: the same bytes here
        const StorageCase &down =
            std::strcmp(storage.name, "Q4_K") == 0 ? storage_named("Q8_0") : storage;
        const StoredExperts experts(storage, down, kShape, 81);
        const HeaderLayout layout(storage, down);
        for (const int parts : {1, 2, 4}) {
            TestEngine host(options_for("generic", "f32", parts, parts));
            ktb_moe_t moe = host.load(experts, {5, 1});
            std::vector<int> slices;
            for (int part = 0; part < parts; part++) {
                const void *address = nullptr;
                size_t bytes = 1;
                CHECK(ktb_moe_packed(moe, part, 1, &address, &bytes) == 0 &&
                      bytes % layout.record() == 0 && uintptr_t(address) % 64 == 0 &&
                      (address == nullptr) == (bytes == 0));
                slices.push_back(int(bytes / layout.record()));
            }
            for (int matrix = 0; matrix < 3; matrix++)
                CHECK(layout.codes(moe, 1, matrix, slices) == experts.values[matrix][1].data);
        }
    }
}

TEST("packed scales are laid out as the header says") {
    const StoredExperts fp4 = experts_of("FP4", "FP4", 82),
                        fp8 = experts_of("FP8_F32", "FP8_F32", 82),
                        rows = experts_of("FP8_ROWS", "FP8_ROWS", 82);
    TestEngine host(options_for("generic", "f32", 1, 1));
    const uint8_t *packed = static_cast<const uint8_t *>(address_of(host.load(fp4), 0, 2));
    for (int r = 0; r < 64; r++) // channels 0..31 of gate, then of up; inputs 32..63
        CHECK(packed[1088 + 1024 + r] == fp4.values[r / 32][2].scales[size_t(r % 32) * 8 + 1]);
    packed = static_cast<const uint8_t *>(address_of(host.load(fp8), 0, 2));
    for (int half = 0; half < 2; half++)
        CHECK(std::memcmp(packed + 64 * 256 + half * 8, fp8.values[half][2].scales.data(), 8) ==
              0); // two blocks of 128 inputs
    packed = static_cast<const uint8_t *>(address_of(host.load(rows), 0, 2));
    for (int r = 0; r < 64; r++)
        CHECK(std::memcmp(packed + 64 * 256 + r * 4,
                          rows.values[r / 32][2].scales.data() + r % 32 * 4, 4) == 0);
}
