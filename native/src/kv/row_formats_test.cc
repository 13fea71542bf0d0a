#include "kv/row_formats.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/test.h"
#include "base/test_vectors.h"

using ds4::test::VectorFile;

namespace {

bool same_bits(const float *a, const float *b, int64_t n) {
    return std::memcmp(a, b, size_t(n) * 4) == 0;
}

void check_index_rows(const VectorFile &file, const std::string &prefix, int channels) {
    const auto &rows = file[prefix + ".rows"];
    const ds4::IndexRowFormat format{channels, ds4::RowStorage::packed};
    for (int64_t r = 0; r < rows.rows(); r++) {
        std::vector<float> x(rows.floats() + r * channels, rows.floats() + (r + 1) * channels),
            back(static_cast<size_t>(channels));
        std::vector<uint8_t> row(size_t(format.bytes()));
        format.encode(x.data(), row.data());
        const float *transformed = file[prefix + ".hadamard"].floats() + r * channels;
        float largest = 0.0f;
        for (int i = 0; i < channels; i++) largest = std::max(largest, std::fabs(transformed[i]));
        for (int i = 0; i < channels; i++)
            CHECK_CLOSE(x[size_t(i)], transformed[i], 5e-7 * largest);
        CHECK(std::memcmp(row.data(), file[prefix + ".packed"].bytes.data() + r * format.bytes(),
                          row.size()) == 0);
        format.decode(row.data(), back.data());
        CHECK(same_bits(back.data(), file[prefix + ".rounded"].floats() + r * channels, channels));
    }
}

} // namespace

TEST("packed KV rows equal the recorded bytes and decode to the recorded values") {
    const VectorFile file("unit/trained.safetensors");
    const ds4::KvRowFormat format{512, 64, ds4::RowStorage::packed};
    CHECK(format.bytes() == 584);
    const auto &rows = file["kv.rows"];
    for (int64_t r = 0; r < rows.rows(); r++) {
        uint8_t row[584];
        float back[512];
        format.encode(rows.floats() + r * 512, row);
        CHECK(std::memcmp(row, file["kv.packed"].bytes.data() + r * 584, 584) == 0);
        format.decode(row, back);
        CHECK(same_bits(back, file["kv.rounded"].floats() + r * 512, 512));
    }
}

TEST("packed index rows equal the recorded bytes for 128 and 64 channels") {
    const VectorFile file("unit/trained.safetensors");
    CHECK((ds4::IndexRowFormat{128, ds4::RowStorage::packed}.bytes() == 68));
    check_index_rows(file, "index128", 128);
    check_index_rows(file, "index64", 64);
}

TEST("the FP4 step keeps subnormals, ties and signed zeros as recorded") {
    const VectorFile file("unit/trained.safetensors");
    const ds4::IndexRowFormat format{128, ds4::RowStorage::packed};
    for (int64_t r = 0; r < file["fp4.in"].rows(); r++) {
        uint8_t row[68];
        float back[128];
        format.encode_transformed(file["fp4.in"].floats() + r * 128, row);
        CHECK(std::memcmp(row, file["fp4.packed"].bytes.data() + r * 68, 68) == 0);
        format.decode(row, back);
        CHECK(same_bits(back, file["fp4.rounded"].floats() + r * 128, 128));
    }
}

TEST("rounding a rounded row changes nothing, and f32 storage keeps every bit") {
    const VectorFile file("unit/trained.safetensors");
    const ds4::KvRowFormat packed{512, 64, ds4::RowStorage::packed},
        plain{512, 64, ds4::RowStorage::f32};
    for (int64_t r = 0; r < file["kv.rounded"].rows(); r++) {
        const float *x = file["kv.rounded"].floats() + r * 512;
        uint8_t row[2048];
        float back[512];
        packed.encode(x, row);
        packed.decode(row, back);
        CHECK(same_bits(back, x, 512));
        plain.encode(file["kv.rows"].floats() + r * 512, row);
        plain.decode(row, back);
        CHECK(same_bits(back, file["kv.rows"].floats() + r * 512, 512));
    }
}

TEST("the transform applied twice is the identity") {
    float x[128], y[128];
    for (int i = 0; i < 128; i++) x[i] = y[i] = std::sin(float(i) * 1.7f) * 3.0f;
    ds4::hadamard(y, 128);
    ds4::hadamard(y, 128);
    for (int i = 0; i < 128; i++) CHECK_CLOSE(y[i], x[i], 2e-6);
}
