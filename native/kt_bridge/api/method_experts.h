// Test support: random experts of every storage format, with their values by the formats'
// definitions.
#pragma once
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "api/test_layer.h"
#include "format/blocks.h"
#include "format/convert.h"
#include "format/scalar.h"

namespace ds4::ktb::test {

struct StorageCase {
    const char *name;
    uint32_t format;
    ktb_method_t method;
};
inline constexpr StorageCase kStorageCases[] = {
    {"FP4", KTB_FORMAT_FP4, KTB_MXFP4},       {"MXFP4", KTB_FORMAT_MXFP4, KTB_MXFP4},
    {"BF16", KTB_FORMAT_BF16, KTB_BF16},      {"FP8", KTB_FORMAT_FP8, KTB_FP8},
    {"FP8_F32", KTB_FORMAT_FP8_F32, KTB_FP8}, {"FP8_ROWS", KTB_FORMAT_FP8_ROWS, KTB_FP8_PERCHANNEL},
    {"Q8_0", KTB_FORMAT_Q8_0, KTB_Q8_0},      {"Q2_K", KTB_FORMAT_Q2_K, KTB_Q2_K},
    {"Q4_K", KTB_FORMAT_Q4_K, KTB_Q4_K},      {"IQ2_XXS", KTB_FORMAT_IQ2_XXS, KTB_IQ2_XXS},
};

// A matrix [rows, columns] of a format, with values of about 0.06.
struct StoredValues {
    uint32_t format;
    int rows, columns;
    std::vector<uint8_t> data, scales;

    StoredValues(uint32_t of, int row_count, int column_count, uint64_t seed)
        : format(of), rows(row_count), columns(column_count), state_(seed) {
        fill_data();
        fill_scales();
    }
    ktb_matrix matrix() const {
        return {data.data(), scales.empty() ? nullptr : scales.data(),
                data.size(), scales.size(),
                format,      0};
    }
    void decode_row(int row, std::vector<double> &out) const {
        std::vector<float> values(static_cast<size_t>(columns));
        const size_t width = data.size() / size_t(rows);
        const uint8_t *codes = data.data() + size_t(row) * width;
        if (format >= KTB_FORMAT_FP8 && format != KTB_FORMAT_FP4) {
            for (int i = 0; i < columns; i++)
                out[size_t(i)] = double(e4m3_to_f32(codes[i])) * double(fp8_scale(row, i));
            return;
        }
        const uint8_t *row_scales =
            format == KTB_FORMAT_FP4 ? scales.data() + size_t(row) * size_t(columns / 32) : nullptr;
        ds4::decode_row(format, codes, row_scales, values.data(),
                        columns); // format numbers are tensor types here
        for (int i = 0; i < columns; i++) out[size_t(i)] = double(values[size_t(i)]);
    }

  private:
    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    float factor() { return 1.0f + 0.5f * float(next() % 1000) / 1000.0f; }
    void put_half(uint8_t *at, float value) {
        const uint16_t half = f32_to_f16(value);
        std::memcpy(at, &half, 2);
    }
    float fp8_scale(int row, int column) const {
        const size_t block = size_t(row / 128) * size_t(columns / 128) + size_t(column / 128);
        if (format == KTB_FORMAT_FP8) return e8m0_to_f32(scales[block]);
        return load_f32(scales.data() + (format == KTB_FORMAT_FP8_ROWS ? size_t(row) : block) * 4);
    }
    void fill_data() {
        const size_t values = size_t(rows) * size_t(columns);
        const bool fp8 = format >= KTB_FORMAT_FP8 && format != KTB_FORMAT_FP4;
        data.resize(fp8 ? values
                        : size_t(rows) * size_t(ds4::row_bytes(format, uint64_t(columns))));
        for (uint8_t &byte : data) byte = uint8_t(next() >> 32);
        for (size_t i = 0; fp8 && i < data.size(); i++)
            if (e4m3_is_nan(data[i])) data[i] ^= 1;
        for (size_t i = 0; format == KTB_FORMAT_BF16 && i < values; i++) {
            const uint16_t word = f32_to_bf16(float(int64_t(next() % 2001) - 1000) * 1e-4f);
            std::memcpy(&data[i * 2], &word, 2);
        }
        const auto blocks = [&](size_t bytes, auto set) {
            for (size_t at = 0; at < data.size(); at += bytes) set(&data[at]);
        };
        if (format == KTB_FORMAT_MXFP4)
            blocks(17, [&](uint8_t *block) { *block = uint8_t(119 + next() % 4); });
        if (format == KTB_FORMAT_Q8_0)
            blocks(34, [&](uint8_t *block) { put_half(block, 0.0008f * factor()); });
        if (format == KTB_FORMAT_Q2_K)
            blocks(84, [&](uint8_t *block) {
                put_half(block + 80, 0.006f * factor()), put_half(block + 82, 0.009f * factor());
            });
        if (format == KTB_FORMAT_Q4_K)
            blocks(144, [&](uint8_t *block) {
                put_half(block, 3e-4f * factor()), put_half(block + 2, 2e-3f * factor());
            });
        if (format == KTB_FORMAT_IQ2_XXS)
            blocks(66, [&](uint8_t *block) { put_half(block, 0.0015f * factor()); });
    }
    void fill_scales() {
        const size_t fp8_blocks = size_t((rows + 127) / 128) * size_t(columns / 128);
        if (format == KTB_FORMAT_FP4) scales.resize(size_t(rows) * size_t(columns / 32));
        if (format == KTB_FORMAT_FP8) scales.resize(fp8_blocks);
        for (uint8_t &scale : scales)
            scale = uint8_t((format == KTB_FORMAT_FP8 ? 115 : 119) + next() % 4);
        const size_t floats = format == KTB_FORMAT_FP8_F32    ? fp8_blocks
                              : format == KTB_FORMAT_FP8_ROWS ? size_t(rows)
                                                              : 0;
        for (size_t i = 0; i < floats; i++) {
            const float scale = 4e-4f * factor();
            const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&scale);
            scales.insert(scales.end(), bytes, bytes + 4);
        }
    }
    uint64_t state_;
};

// Experts of one layer; down may have another format.
struct StoredExperts {
    StoredExperts(const StorageCase &of, const StorageCase &down_of, const Shape &of_shape,
                  uint64_t seed)
        : storage(of), down(down_of), shape(of_shape) {
        for (int expert = 0; expert < shape.experts; expert++)
            for (int matrix = 0; matrix < 3; matrix++) {
                const bool is_down = matrix == 2;
                values[matrix].emplace_back(is_down ? down.format : storage.format,
                                            is_down ? shape.hidden : shape.intermediate,
                                            is_down ? shape.intermediate : shape.hidden,
                                            seed * 1000 + uint64_t(expert * 3 + matrix));
            }
    }
    std::vector<ktb_matrix> matrices(int matrix) const {
        std::vector<ktb_matrix> list;
        for (const StoredValues &stored : values[matrix]) list.push_back(stored.matrix());
        return list;
    }
    int load(ktb_moe_t moe) const {
        return ktb_moe_load_matrices(moe, matrices(0).data(), matrices(1).data(),
                                     matrices(2).data());
    }
    ktb_moe_t create(ktb_engine_t engine) const {
        return ktb_moe_create_mixed(engine, 0, shape.experts, shape.experts_per_token, shape.hidden,
                                    shape.intermediate, KTB_IO_F32, storage.method, down.method,
                                    10);
    }
    std::vector<double> reference(const ReferenceRequest &request) const {
        return reference_forward(
            size_t(shape.experts),
            [this](size_t expert, int matrix, int row, std::vector<double> &out) {
                values[matrix][expert].decode_row(row, out);
            },
            request);
    }
    StorageCase storage, down;
    Shape shape;
    std::vector<StoredValues> values[3];
};

// An engine with one loaded layer of stored experts.
class StoredLayer {
  public:
    StoredLayer(const std::string &options, const StoredExperts &experts) : shape_(experts.shape) {
        engine = ktb_engine_create_json(options.c_str());
        if (engine != nullptr) moe = experts.create(engine);
        status = moe == nullptr ? KTB_ERR_ARGUMENT : experts.load(moe);
    }
    ~StoredLayer() {
        ktb_moe_destroy(moe);
        ktb_engine_destroy(engine);
    }
    StoredLayer(const StoredLayer &) = delete;
    std::vector<float> forward(int tokens, const float *input, const int32_t *ids,
                               const float *weights, float limit) {
        std::vector<float> output(size_t(tokens) * size_t(shape_.hidden), NAN);
        status = ktb_moe_forward2(moe, tokens, input, KTB_IO_F32, output.data(), KTB_IO_F32, ids,
                                  weights, 0, limit);
        return output;
    }
    ktb_engine_t engine = nullptr;
    ktb_moe_t moe = nullptr;
    int status = 0;

  private:
    Shape shape_;
};

} // namespace ds4::ktb::test
