#include "kernels/cache_rows/cache_rows.h"

#include <cmath>
#include <cstring>

#include "backend/cpu/context.h"
#include "base/error.h"
#include "base/test.h"
#include "kernels/step/step_for_tests.h"
#include "kv/row_formats.h"
#include "model/rope.h"

namespace {

using namespace ds4;
using namespace ds4::kernels;
using namespace ds4::kernels::test;

std::vector<float> rope_frequencies(int rotary) {
    std::vector<float> out;
    for (int i = 0; i < rotary / 2; i++)
        out.push_back(float(std::pow(160000.0, -2.0 * i / rotary)));
    return out;
}

std::vector<float> host_angles(const std::vector<int32_t> &positions, int rotary) {
    const Rope rope(rope_frequencies(rotary));
    std::vector<float> out(positions.size() * size_t(rotary));
    for (size_t i = 0; i < positions.size(); i++)
        rope.angles(uint32_t(positions[i]), out.data() + i * size_t(rotary));
    return out;
}

TEST("angles of a step are those of the CPU to the last place, up to a million positions") {
    // 312,689 and 833,719 are almost multiples of pi: a coarse reduction shows in their sines
    const std::vector<int32_t> starts = {0, 1, 127, 65535, 312689, 833719, 1048575 - 4};
    std::vector<SequencePlan> plans;
    std::vector<int32_t> positions;
    for (const int32_t start : starts) {
        plans.push_back({start, 5});
        for (int i = 0; i < 5; i++) positions.push_back(start + i);
    }
    for (const int rotary : {2, 64}) {
        const StepOnDevice step(plans, 2);
        const DeviceArray<float> frequencies(rope_frequencies(rotary));
        DeviceArray<float> angles((positions.size() + 2) * size_t(rotary));
        device::Stream stream;
        make_angles({step.table(), frequencies.data(), rotary, angles.data()}, stream);
        const std::vector<float> got = angles.get(), expected = host_angles(positions, rotary);
        int differ = 0;
        for (size_t i = 0; i < expected.size(); i++) {
            const double product =
                double(float(positions[i / size_t(rotary)]) *
                       rope_frequencies(rotary)[i % size_t(rotary) % size_t(rotary / 2)]);
            const bool is_cosine = i % size_t(rotary) < size_t(rotary / 2);
            CHECK(got[i] == float(is_cosine ? std::cos(product) : std::sin(product)));
            CHECK_CLOSE(got[i], expected[i], 6e-8);
            differ += got[i] != expected[i];
        }
        CHECK(differ * 20 <= int(expected.size())); // cosf is 0.56 units off at worst
        for (size_t i = expected.size(); i < got.size(); i++) CHECK(std::isnan(got[i])); // padded
    }
}

struct LowCase {
    int channels, rotary, q_rank;
    bool is_packed;
    float scale;
};

// Bytes of the CPU for the same rows.
std::vector<uint8_t> expected_kv_rows(const LowCase &c, const RowFormat &format,
                                      const std::vector<float> &kv, const std::vector<float> &norm,
                                      const std::vector<float> &angles) {
    const KvRowFormat cpu_format{c.channels, c.rotary,
                                 c.is_packed ? RowStorage::packed : RowStorage::f32};
    CHECK(cpu_format.bytes() == format.bytes);
    const size_t rows = kv.size() / size_t(c.channels);
    std::vector<uint8_t> out(rows * size_t(format.bytes));
    for (size_t row = 0; row < rows; row++) {
        std::vector<float> x(kv.begin() + int64_t(row) * c.channels,
                             kv.begin() + int64_t(row + 1) * c.channels);
        cpu::rms_norm_precise(x.data(), norm.data(), x.data(), c.channels, 1e-6f);
        rotate(x.data() + c.channels - c.rotary, angles.data() + row * size_t(c.rotary), c.rotary,
               false);
        cpu_format.encode(x.data(), out.data() + row * size_t(format.bytes));
    }
    return out;
}

int32_t kv_bytes(const LowCase &c) {
    return int32_t(
        KvRowFormat{c.channels, c.rotary, c.is_packed ? RowStorage::packed : RowStorage::f32}
            .bytes());
}

void check_finish_low(const LowCase &c, int rows, int padding) {
    std::vector<int32_t> positions;
    for (int i = 0; i < rows; i++) positions.push_back(1000 + i);
    std::vector<SequencePlan> plans;
    if (rows > 0) plans.push_back({1000, rows});
    const StepOnDevice step(plans, padding);
    std::vector<float> kv = random_floats(int64_t(rows) * c.channels, 3, c.scale),
                       q = random_floats(int64_t(rows) * c.q_rank, 4, c.scale);
    for (size_t i = 0; i < kv.size(); i += 7) kv[i] *= 1e-6f; // codes of all sizes, and subnormals
    const std::vector<float> kv_norm = random_floats(c.channels, 5, 3.0f),
                             q_norm = random_floats(c.q_rank, 6),
                             angles = host_angles(positions, c.rotary);
    const RowFormat format{c.channels, c.rotary, c.is_packed, kv_bytes(c)};
    const auto padded = [&](const std::vector<float> &values, int width) {
        std::vector<float> out = values;
        out.resize(size_t((rows + padding) * width), NAN);
        return out;
    };
    DeviceArray<float> d_q(padded(q, c.q_rank)), d_kv(padded(kv, c.channels)), d_q_norm(q_norm),
        d_kv_norm(kv_norm), d_angles(padded(angles, c.rotary));
    DeviceArray<uint8_t> out(
        std::vector<uint8_t>(size_t((rows + padding) * format.bytes), uint8_t(0xcd)));
    device::Stream stream;
    finish_low({step.table(), d_angles.data(), d_q.data(), d_q_norm.data(), c.q_rank, d_kv.data(),
                d_kv_norm.data(), format, 1e-6f, out.data()},
               stream);
    const std::vector<uint8_t> bytes = out.get(),
                               expected = expected_kv_rows(c, format, kv, kv_norm, angles);
    int64_t differ = 0;
    for (size_t i = 0; i < expected.size(); i++) differ += bytes[i] != expected[i];
    CHECK(differ * 20000 <= int64_t(expected.size()));
    for (size_t i = expected.size(); i < bytes.size(); i++) CHECK(bytes[i] == 0xcd);
    const std::vector<float> q_out = d_q.get();
    for (int r = 0; r < rows; r++) {
        double sum = 0.0;
        for (int i = 0; i < c.q_rank; i++) sum += std::pow(double(q[size_t(r * c.q_rank + i)]), 2);
        const double scale = 1.0 / std::sqrt(sum / c.q_rank + 1e-6);
        for (int i = 0; i < c.q_rank; i++)
            CHECK_CLOSE(q_out[size_t(r * c.q_rank + i)],
                        q[size_t(r * c.q_rank + i)] * scale * q_norm[size_t(i)], 6e-7);
    }
}

TEST("KV rows have the bytes of the CPU and queries their norm, whatever the sizes and scales") {
    for (int pass = 0; pass < 2; pass++) {
        for (const LowCase &c : {LowCase{512, 64, 1024, true, 1.0f},
                                 {128, 64, 128, true, 1.0f},
                                 {512, 64, 130, false, 1.0f},
                                 {192, 64, 31, true, 1e-18f},
                                 {512, 64, 256, true, 1e15f},
                                 {128, 64, 1, false, 1e-9f}})
            for (const int rows : {0, 1, 7}) check_finish_low(c, rows, 2);
        check_finish_low({512, 64, 128, true, 1.0f}, 67, 0);
    }
}

TEST("heads of queries get their own norm and rope in place") {
    for (int pass = 0; pass < 2; pass++)
        for (const auto &[heads, channels, rotary] :
             {std::array{64, 512, 64}, {3, 128, 64}, {5, 132, 6}, {1, 64, 64}}) {
            const int rows = 3, padding = 1;
            const StepOnDevice step({{77, 1}, {999999, 2}}, padding);
            const std::vector<float> angles = host_angles({77, 999999, 1000000, 0}, rotary),
                                     q = random_floats(int64_t(rows + padding) * heads * channels,
                                                       uint32_t(heads), 40.0f);
            DeviceArray<float> d_q(q), d_angles(angles);
            device::Stream stream;
            finish_heads(
                {step.table(), d_angles.data(), d_q.data(), heads, channels, rotary, 1e-6f},
                stream);
            const std::vector<float> out = d_q.get();
            for (int64_t item = 0; item < int64_t(rows + padding) * heads; item++) {
                const float *from = q.data() + item * channels, *got = out.data() + item * channels;
                if (item >= rows * heads) {
                    CHECK(std::memcmp(from, got, size_t(channels) * 4) == 0);
                    continue;
                }
                double sum = 0.0;
                for (int i = 0; i < channels; i++) sum += double(from[i]) * from[i];
                std::vector<float> expected(static_cast<size_t>(channels));
                for (int i = 0; i < channels; i++)
                    expected[size_t(i)] = float(from[i] / std::sqrt(sum / channels + 1e-6));
                rotate(expected.data() + channels - rotary, angles.data() + item / heads * rotary,
                       rotary, false);
                for (int i = 0; i < channels; i++) CHECK_CLOSE(got[i], expected[size_t(i)], 1e-6);
            }
        }
}

// Two rings in the recent memory of three sequences.
constexpr int kSlots[2] = {16, 5};
const RingLayout kRings[2] = {{64, kSlots[0], 584}, {64 + 16 * 584 + 32, kSlots[1], 256}};
constexpr size_t kRecentBytes = 64 + 16 * 584 + 32 + 5 * 256 + 8;

std::vector<uint8_t> ring_bytes(int64_t count, uint32_t seed) {
    std::vector<uint8_t> out(static_cast<size_t>(count));
    for (uint8_t &byte : out) seed = seed * 1664525u + 1013904223u, byte = uint8_t(seed >> 24);
    return out;
}

// The rings' contents after `kept` tokens of a step, by the rule of RowRing.
std::vector<uint8_t> expected_recent(const SequencePlan &plan, int first_row, int kept,
                                     const std::vector<uint8_t> (&rows)[2]) {
    std::vector<uint8_t> out = plan.recent;
    for (int ring = 0; ring < 2; ring++)
        for (int i = std::max(0, plan.count - kSlots[ring]); i < kept; i++)
            std::memcpy(out.data() + kRings[ring].offset +
                            (plan.position + i) % kSlots[ring] * kRings[ring].row_bytes,
                        rows[ring].data() + int64_t(first_row + i) * (kRings[ring].row_bytes + 16),
                        size_t(kRings[ring].row_bytes));
    return out;
}

TEST("staged rows become current for the tokens that are kept, and no others") {
    for (const std::vector<int32_t> &kept :
         {std::vector<int32_t>{1, 3, 40}, {0, 2, 40}, {1, 0, 0}, {0, 5, 40}}) {
        const std::vector<SequencePlan> plans = {{15, 1, ring_bytes(kRecentBytes, 1)},
                                                 {1000003, 5, ring_bytes(kRecentBytes, 2)},
                                                 {0, 40, ring_bytes(kRecentBytes, 3)}};
        const StepOnDevice step(plans, 3);
        const std::vector<uint8_t> rows[2] = {ring_bytes(49 * 600, 4), ring_bytes(49 * 272, 5)};
        device::Stream stream;
        const DeviceArray<int32_t> d_kept(kept);
        const DeviceArray<RingLayout> d_rings(std::vector<RingLayout>(kRings, kRings + 2));
        for (int ring = 0; ring < 2; ring++) {
            const DeviceArray<uint8_t> d_rows(rows[ring]);
            stage_rows({step.table(), kRings[ring], d_rows.data(), kRings[ring].row_bytes + 16},
                       stream);
            stream.wait();
        }
        for (size_t s = 0; s < 3; s++) CHECK(step.recent(int(s)) == plans[s].recent);
        commit_rows({step.table(), d_kept.data(), d_rings.data(), 2}, stream);
        const int first_rows[3] = {0, 1, 6};
        for (size_t s = 0; s < 3; s++)
            CHECK(step.recent(int(s)) == expected_recent(plans[s], first_rows[s], kept[s], rows));
    }
}

TEST("sizes that no kernel takes are refused with what was expected") {
    const StepOnDevice step({{0, 1}});
    device::Stream stream;
    const auto refused = [&](auto call) {
        try {
            call();
            return false;
        } catch (const Error &) {
            return true;
        }
    };
    CHECK(refused([&] { stage_rows({step.table(), {0, 4, 12}, nullptr, 12}, stream); }));
    CHECK(refused(
        [&] { finish_heads({step.table(), nullptr, nullptr, 1, 2048, 64, 1e-6f}, stream); }));
    FinishLowParams low{};
    low.step = step.table(), low.format = {132, 64, true, 200};
    CHECK(refused([&] { finish_low(low, stream); }));
}

} // namespace
