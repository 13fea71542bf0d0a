#include "backend/cpu/blocks/attend_heads.h"

#include <cmath>
#include <vector>

#include "backend/cpu/blocks/unit_model.h"
#include "base/test.h"
#include "machine/instruction_sets.h"

using namespace ds4;
using namespace ds4::cpu;

namespace {

constexpr int kHeads = 4, kDim = 512;

struct Case {
    std::vector<float> q, window, compressed, sinks;
    int64_t window_count, compressed_count;
};

Case make_case(int64_t window_count, int64_t compressed_count, float sink) {
    uint32_t state = uint32_t(17 + window_count * 31 + compressed_count);
    const auto fill = [&](int64_t count) {
        std::vector<float> out(static_cast<size_t>(count));
        for (float &value : out) {
            state = state * 1664525u + 1013904223u;
            value = float(int32_t(state)) * 0x1p-31f;
        }
        return out;
    };
    return {fill(kHeads * kDim),
            fill(window_count * kDim),
            fill(compressed_count * kDim),
            std::vector<float>(kHeads, sink),
            window_count,
            compressed_count};
}

// [heads, dim] in head order, at a position whose rotation is the identity
std::vector<float> run(const Case &c, Isa isa) {
    const Shape shape = unit::shape();
    std::vector<float> angles(64, 0.0f), out(kHeads * kDim, NAN);
    std::fill_n(angles.begin(), 32, 1.0f);
    Buffer scratch;
    const HeadsInput in{shape, vector_kernels(isa), c.sinks.data(), nullptr};
    attend_heads(in, {c.window.data(), 0, c.window_count, c.compressed.data(), c.compressed_count},
                 c.q.data(), angles.data(), 0, kHeads, scratch, {out.data(), 0, 1});
    return out;
}

// The definition, in f64.
std::vector<double> expected(const Case &c) {
    std::vector<double> out(kHeads * kDim, 0.0);
    for (int h = 0; h < kHeads; h++) {
        std::vector<double> scores;
        std::vector<const float *> rows;
        for (int64_t i = 0; i < c.window_count; i++) rows.push_back(c.window.data() + i * kDim);
        for (int64_t i = 0; i < c.compressed_count; i++)
            rows.push_back(c.compressed.data() + i * kDim);
        double highest = c.sinks[size_t(h)];
        for (const float *row : rows) {
            double dot = 0.0;
            for (int d = 0; d < kDim; d++) dot += double(c.q[size_t(h * kDim + d)]) * row[d];
            scores.push_back(dot / std::sqrt(double(kDim)));
            highest = std::max(highest, scores.back());
        }
        double total = std::exp(c.sinks[size_t(h)] - highest);
        for (const double score : scores) total += std::exp(score - highest);
        for (size_t i = 0; i < rows.size(); i++)
            for (int d = 0; d < kDim; d++)
                out[size_t(h * kDim + d)] += std::exp(scores[i] - highest) / total * rows[i][d];
    }
    return out;
}

} // namespace

TEST("attention over window and compressed rows equals a float64 loop for every kernel set") {
    for (const Isa isa : unit::every_isa())
        for (const auto &[window, compressed] : {std::pair<int64_t, int64_t>{1, 0},
                                                 {16, 0},
                                                 {127, 1},
                                                 {128, 512},
                                                 {3, 17},
                                                 {128, 2500}}) {
            const Case c = make_case(window, compressed, 0.3f);
            const std::vector<float> out = run(c, isa);
            const std::vector<double> reference = expected(c);
            for (size_t i = 0; i < out.size(); i++) CHECK_CLOSE(out[i], reference[i], 3.4e-7);
        }
}

TEST("slices summed apart and merged afterwards give the bits of one call") {
    const Case c = make_case(128, 3 * kSliceRows + 5, 0.3f);
    const Shape shape = unit::shape();
    const HeadsInput in{shape, vector_kernels(machine::best_isa()), c.sinks.data(), nullptr};
    const HeadsRows keys{c.window.data(), 0, c.window_count, c.compressed.data(),
                         c.compressed_count};
    CHECK(keys.slices() == 4);
    const int64_t floats = partial_floats(shape), stride = kHeads * floats;
    std::vector<float> partials(size_t(keys.slices() * stride)), angles(64, 0.0f),
        out(kHeads * kDim, NAN), scratch(size_t(slice_floats(in, keys, kHeads)));
    std::fill_n(angles.begin(), 32, 1.0f);
    for (int64_t slice = keys.slices() - 1; slice >= 0; slice--)
        attend_slice(in, keys, slice, c.q.data(), 0, kHeads, scratch.data(),
                     partials.data() + slice * stride);
    for (int64_t head = 0; head < kHeads; head++)
        finish_head(in, partials.data() + head * floats, keys.slices(), stride, angles.data(), head,
                    {out.data(), 0, 1});
    CHECK(out == run(c, machine::best_isa()));
}

TEST("slices on tile registers give the bits of one call and agree with a float64 loop") {
    const KvRowFormat format{kDim, 64, RowStorage::packed};
    const TileAttention *tiles = tile_attention(machine::best_isa(), format);
    if (tiles == nullptr) return;
    Case c = make_case(128, 3 * kSliceRows + 5, 0.3f);
    const Shape shape = unit::shape();
    const HeadsInput in{shape, vector_kernels(machine::best_isa()), c.sinks.data(), tiles};
    constexpr int64_t kFirst = 7; // of the window, in its first chunk
    const auto load = [&](std::vector<float> &rows, int64_t first, Buffer &memory) {
        const int64_t count = int64_t(rows.size()) / kDim, end = first + count,
                      bytes = tiled_rows_bytes(end, kDim);
        uint8_t *chunks = memory.get<uint8_t>(bytes);
        std::vector<uint8_t> row(size_t(format.bytes()));
        for (int64_t i = 0; i < (end + kChunkRows - 1) / kChunkRows * kChunkRows; i++) {
            if (i < first || i >= end) {
                tiles->clear_row(format, chunks, i);
                continue;
            }
            format.encode(rows.data() + (i - first) * kDim, row.data());
            format.decode(row.data(), rows.data() + (i - first) * kDim);
            tiles->load_row(format, row.data(), chunks, i);
        }
        return chunks;
    };
    Buffer window, compressed, scratch;
    const HeadsRows keys{load(c.window, kFirst, window), kFirst, c.window_count,
                         load(c.compressed, 0, compressed), c.compressed_count};
    std::vector<float> angles(64, 0.0f), whole(kHeads * kDim, NAN), out(kHeads * kDim, NAN);
    std::fill_n(angles.begin(), 32, 1.0f);
    attend_heads(in, keys, c.q.data(), angles.data(), 0, kHeads, scratch, {whole.data(), 0, 1});
    const int64_t floats = partial_floats(shape), stride = kHeads * floats;
    std::vector<float> partials(size_t(keys.slices() * stride));
    for (int64_t slice = keys.slices() - 1; slice >= 0; slice--)
        for (int64_t head = kHeads - 1; head >= 0; head--)
            attend_slice(in, keys, slice, c.q.data(), head, head + 1,
                         scratch.get<float>(slice_floats(in, keys, 1)),
                         partials.data() + slice * stride + head * floats);
    for (int64_t head = 0; head < kHeads; head++)
        finish_head(in, partials.data() + head * floats, keys.slices(), stride, angles.data(), head,
                    {out.data(), 0, 1});
    CHECK(out == whole);
    const std::vector<double> reference = expected(c);
    for (size_t i = 0; i < out.size(); i++) CHECK_CLOSE(out[i], reference[i], 3.4e-7);
}

TEST("a sink of minus infinity is no sink, and a huge sink leaves almost nothing") {
    const std::vector<float> none = run(make_case(16, 5, -INFINITY), machine::best_isa()),
                             huge = run(make_case(16, 5, 60.0f), machine::best_isa());
    Case plain = make_case(16, 5, -1e9f);
    const std::vector<double> softmax = expected(plain);
    for (size_t i = 0; i < none.size(); i++) {
        CHECK_CLOSE(none[i], softmax[i], 2.8e-7);
        CHECK_CLOSE(huge[i], 0.0, 1e-24);
    }
}
