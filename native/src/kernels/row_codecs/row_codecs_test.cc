#include <cmath>
#include <cstring>

#include "base/test.h"
#include "format/scalar.h"
#include "kernels/row_codecs/row_probe.h"
#include "kernels/step/step_for_tests.h"
#include "kv/row_formats.h"

namespace {

using namespace ds4;
using namespace ds4::kernels;
using namespace ds4::kernels::test;

std::vector<uint8_t> probe(RowProbe what, const RowFormat &format, const std::vector<float> &x,
                           int64_t out_bytes) {
    const int64_t rows = int64_t(x.size()) / format.channels;
    const DeviceArray<float> in(x);
    const DeviceArray<uint8_t> out(size_t(rows * out_bytes));
    device::Stream stream;
    row_probe({what, in.data(), int32_t(rows), format, out.data()}, stream);
    return out.get();
}

// Rows of all magnitudes that f32 has, among them ties of both formats, zeros of both signs and
// subnormal values.
std::vector<float> hard_rows(int channels) {
    std::vector<float> out;
    for (int exponent = -148; exponent < 120; exponent++) {
        const std::vector<float> row = random_floats(channels, uint32_t(exponent + 500));
        for (int i = 0; i < channels; i++) {
            float value = row[size_t(i)];
            if (i % 3 == 0) value = std::nearbyint(value * 48.0f) / 32.0f; // ties and edges
            if (i % 7 == 0) value *= 0x1p-9f;
            if (i % 64 == 5) value = i % 128 == 5 ? 0.0f : -0.0f;
            if (i % 64 == 9) value = exponent % 2 == 0 ? 1.75f : -1.75000012f; // 448 and above
            out.push_back(std::ldexp(value, exponent));
        }
    }
    out.insert(out.end(), size_t(channels), 0.0f);
    return out;
}

TEST("encoded KV rows have the CPU's bytes at every magnitude") {
    for (const auto &[channels, rotary] : {std::pair{512, 64}, {128, 64}, {192, 64}, {136, 8}})
        for (const RowStorage storage : {RowStorage::packed, RowStorage::f32}) {
            const KvRowFormat cpu{channels, rotary, storage};
            const RowFormat format{channels, rotary, storage == RowStorage::packed,
                                   int32_t(cpu.bytes())};
            const std::vector<float> x = hard_rows(channels);
            const std::vector<uint8_t> got = probe(RowProbe::kv_row, format, x, cpu.bytes());
            std::vector<uint8_t> expected(got.size());
            for (size_t row = 0; row < x.size() / size_t(channels); row++)
                cpu.encode(x.data() + row * size_t(channels),
                           expected.data() + row * size_t(cpu.bytes()));
            CHECK(got == expected);
        }
}

TEST("codes of e4m3 are the CPU's around every one of its values and midpoints") {
    // a group whose first value fixes the scale at 1
    std::vector<float> x;
    const auto add = [&](float value) {
        if (x.size() % 64 == 0) x.push_back(448.0f);
        x.push_back(value);
    };
    for (int code = 0; code < 0x7e; code++) {
        const float low = e4m3_to_f32(uint8_t(code)), high = e4m3_to_f32(uint8_t(code + 1)),
                    middle = (low + high) / 2.0f;
        for (const float value : {low, middle, std::nextafter(middle, 0.0f),
                                  std::nextafter(middle, 500.0f), std::nextafter(low, 500.0f)})
            add(value), add(-value);
    }
    while (x.size() % 64 != 0) x.push_back(0.0f);
    const KvRowFormat cpu{64, 0, RowStorage::packed};
    const std::vector<uint8_t> got =
        probe(RowProbe::kv_row, {64, 0, true, int32_t(cpu.bytes())}, x, cpu.bytes());
    std::vector<uint8_t> expected(got.size());
    for (size_t row = 0; row < x.size() / 64; row++)
        cpu.encode(x.data() + row * 64, expected.data() + row * size_t(cpu.bytes()));
    CHECK(got == expected);
}

TEST("encoded index rows and rounded index queries are the CPU's at every magnitude") {
    for (const int channels : {64, 128, 256}) {
        const IndexRowFormat cpu{channels, RowStorage::packed};
        const RowFormat format{channels, 0, true, int32_t(cpu.bytes())};
        std::vector<float> x = hard_rows(channels);
        const std::vector<uint8_t> got = probe(RowProbe::index_row, format, x, cpu.bytes()),
                                   rounded =
                                       probe(RowProbe::rounded_index_row, format, x, channels * 4);
        for (size_t row = 0; row < x.size() / size_t(channels); row++) {
            std::vector<float> first(x.begin() + int64_t(row) * channels,
                                     x.begin() + int64_t(row + 1) * channels),
                second = first;
            std::vector<uint8_t> expected(size_t(cpu.bytes()));
            cpu.encode(first.data(), expected.data());
            CHECK(std::equal(expected.begin(), expected.end(),
                             got.begin() + int64_t(row) * cpu.bytes()));
            round_index_row(second.data(), channels);
            CHECK(std::memcmp(second.data(), rounded.data() + int64_t(row) * channels * 4,
                              size_t(channels) * 4) == 0);
        }
    }
}

TEST("a transformed row of e2m1 midpoints goes to the even codes") {
    // the transform of its own transform: midpoints and values come out exactly
    std::vector<float> x(64);
    const float steps[] = {6.0f, 0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f, 4.0f, -0.25f, -5.0f};
    for (int i = 0; i < 64; i++) x[size_t(i)] = i % 32 == 0 ? 6.0f : steps[i % 11];
    std::vector<float> before = x;
    hadamard(before.data(), 64);
    std::vector<float> again = before;
    hadamard(again.data(), 64);
    CHECK(again == x);
    const IndexRowFormat cpu{64, RowStorage::packed};
    const std::vector<uint8_t> got =
        probe(RowProbe::index_row, {64, 0, true, int32_t(cpu.bytes())}, before, cpu.bytes());
    std::vector<uint8_t> expected(size_t(cpu.bytes()));
    cpu.encode_transformed(x.data(), expected.data());
    CHECK(got == expected);
}

} // namespace
