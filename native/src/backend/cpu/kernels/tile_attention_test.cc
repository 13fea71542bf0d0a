#include "backend/cpu/kernels/tile_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/kernels/weights_for_tests.h"
#include "base/test.h"
#include "format/blocks.h"
#include "format/scalar.h"

namespace ds4::cpu {
namespace {

using namespace ds4::cpu::test;

const TileAttention *tiles() { return tile_attention(Isa::avx512, {512, 64, RowStorage::packed}); }

// Packed rows in chunks, at `first` and later, and the values that they decode to.
struct Rows {
    KvRowFormat format;
    int64_t first, count;
    std::vector<uint8_t> packed, memory;
    std::vector<float> values;
    uint8_t *chunks;

    Rows(const KvRowFormat &format, int64_t first, int64_t count, float size, uint64_t seed)
        : format(format), first(first), count(count), packed(size_t(count * format.bytes())),
          memory(size_t(bytes() + 64), 0xff), values(size_t(count * format.channels)),
          chunks(memory.data() + (64 - uintptr_t(memory.data()) % 64) % 64) {
        Random random(seed);
        std::vector<float> x(size_t(format.channels));
        for (int64_t i = 0; i < count; i++) {
            for (float &value : x) value = random.symmetric() * size;
            format.encode(x.data(), row(i));
        }
    }
    int64_t bytes() const { return tiled_rows_bytes(first + count, format.channels); }
    uint8_t *row(int64_t i) { return packed.data() + i * format.bytes(); }
    // Rows in the order of a step: from the last one, so that pairs are written one by one.
    TiledRows load() {
        for (int64_t i = bytes() / tiled_rows_bytes(1, format.channels) * kChunkRows - 1; i >= 0;
             i--) {
            if (i >= first && i < first + count)
                tiles()->load_row(format, row(i - first), chunks, i);
            else
                tiles()->clear_row(format, chunks, i);
        }
        for (int64_t i = 0; i < count; i++)
            format.decode(row(i), values.data() + i * format.channels);
        return {chunks, first, count};
    }
};

struct Sums {
    int64_t stride;
    std::vector<float> values;
    const float *of_head(int64_t h) const { return values.data() + h * stride; }
};

Sums attend(const TiledQuery &query, const TiledRows &window, const TiledRows &compressed) {
    Sums out{query.dim + 2 + 3, {}};
    out.values.assign(size_t(query.heads * out.stride), -77.0f);
    std::vector<uint8_t> scratch(
        size_t(tile_scratch_bytes(window.count + compressed.count + 64, query.dim) + 64));
    tiles()->attend(query, window, compressed,
                    scratch.data() + (64 - uintptr_t(scratch.data()) % 64) % 64, out.values.data(),
                    out.stride);
    return out;
}

// The definition in f64, held against the sums of one head.
void check_head(const TiledQuery &query, int64_t h, const Rows &window, const Rows &compressed,
                const float *sums) {
    struct Scored {
        double score, error;
        const float *row;
    };
    std::vector<Scored> all;
    const float *q = query.q + h * query.dim;
    const double sink = query.sinks == nullptr ? -INFINITY : query.sinks[h];
    double highest = sink;
    for (const Rows *rows : {&window, &compressed})
        for (int64_t i = 0; i < rows->count; i++) {
            const float *row = rows->values.data() + i * query.dim;
            double dot = 0.0, magnitude = 0.0;
            for (int64_t d = 0; d < query.dim; d++) {
                dot += double(q[d]) * row[d];
                magnitude += std::fabs(double(q[d]) * row[d]);
            }
            // f32 sums of `dim` terms; measured is a twentieth of the bound
            all.push_back({dot * query.scale, magnitude * query.scale * 0x1p-22, row});
            highest = std::max(highest, all.back().score);
        }
    double error = 1e-6, total = std::exp(sink - highest);
    for (const Scored &s : all) error = std::max(error, 2 * s.error);
    CHECK(std::fabs(sums[0] - highest) <= error + std::fabs(highest) * 0x1p-23);
    std::vector<double> expected(size_t(query.dim), 0.0), size(size_t(query.dim), 0.0);
    for (const Scored &s : all) {
        const double weight = std::exp(s.score - highest);
        total += weight;
        for (int64_t d = 0; d < query.dim; d++) {
            expected[size_t(d)] += weight * s.row[d];
            size[size_t(d)] += weight * std::fabs(s.row[d]);
        }
    }
    for (int64_t d = 0; d < query.dim; d++)
        CHECK(std::fabs(double(sums[2 + d]) / sums[1] - expected[size_t(d)] / total) <=
              (size[size_t(d)] * (error + 2e-6) + 1e-9) / total);
    CHECK(sums[query.dim + 2] == -77.0f);
}

std::vector<float> queries(int64_t count, float size, uint64_t seed) {
    Random random(seed);
    std::vector<float> q(static_cast<size_t>(count));
    for (float &value : q) value = random.symmetric() * size;
    return q;
}

} // namespace

TEST("attention on tile registers agrees with a float64 loop") {
    if (tiles() == nullptr) return;
    for (const KvRowFormat format : {KvRowFormat{96, 32, RowStorage::packed},
                                     {192, 64, RowStorage::packed},
                                     {512, 64, RowStorage::packed}})
        for (const int64_t heads : {1, 7, 16, 17, 32})
            for (const auto &[first, count, entries] : {std::array<int64_t, 3>{0, 1, 0},
                                                        {31, 2, 1},
                                                        {5, 127, 31},
                                                        {0, 128, 32},
                                                        {32, 0, 33},
                                                        {17, 128, 97}})
                for (const float size : {1.0f, 1e-5f, 3e5f}) {
                    Rows window(format, first, count, size, 1),
                        compressed(format, 0, entries, size * 2, 2);
                    const TiledRows w = window.load(), c = compressed.load();
                    const std::vector<float> q = queries(heads * format.channels, 3 / size, 3),
                                             sinks = queries(heads, 2, 4);
                    const TiledQuery query{q.data(), heads, format.channels, 0.2f,
                                           count > 100 ? nullptr : sinks.data()};
                    const Sums sums = attend(query, w, c);
                    for (int64_t h = 0; h < heads; h++)
                        check_head(query, h, window, compressed, sums.of_head(h));
                }
}

TEST("attention of the real size agrees with a float64 loop, sharp and flat") {
    if (tiles() == nullptr) return;
    const KvRowFormat format{512, 64, RowStorage::packed};
    Rows window(format, 13, 128, 1, 1), compressed(format, 0, 1024, 1, 2);
    const TiledRows w = window.load(), c = compressed.load();
    for (const float size : {0.01f, 1.0f, 30.0f}) {
        const std::vector<float> q = queries(32 * 512, size, 3), sinks = queries(32, 2, 4);
        const TiledQuery query{q.data(), 32, 512, 0.0441942f, sinks.data()};
        const Sums sums = attend(query, w, c);
        for (int64_t h = 0; h < 32; h++) check_head(query, h, window, compressed, sums.of_head(h));
    }
}

TEST("rows have the values that they decode to, for every scale and code") {
    if (tiles() == nullptr) return;
    const KvRowFormat format{96, 32, RowStorage::packed};
    for (int scale = 0; scale < 256; scale++)
        for (int part = 0; part < 4; part++) {
            Rows rows(format, 0, 2, 1, uint64_t(scale));
            for (int i = 0; i < 64; i++) rows.row(1)[i] = uint8_t(part * 64 + i);
            rows.row(1)[64] = uint8_t(scale);
            rows.load();
            const int64_t key = tile_key_stride(96), values = kChunkRows * key;
            for (int d = 0; d < 96; d++)
                for (int row = 0; row < 2; row++) {
                    const float expected = rows.values[size_t(row * 96 + d)];
                    const float as_key = bf16_to_f32(load_u16(rows.chunks + row * key + d * 2));
                    const float as_value =
                        bf16_to_f32(load_u16(rows.chunks + values + d * 4 + row * 2));
                    const bool is_finite = std::isfinite(expected),
                               is_denormal = std::fabs(expected) < 0x1p-126f;
                    if (!is_denormal)
                        CHECK(as_key == expected || (std::isnan(as_key) && std::isnan(expected)));
                    if (!is_denormal) CHECK(as_value == (is_finite ? expected : 0.0f));
                }
        }
}

TEST("a head's sums depend neither on other heads, nor on rows that it does not see") {
    if (tiles() == nullptr) return;
    const KvRowFormat format{512, 64, RowStorage::packed};
    const std::vector<float> q = queries(32 * 512, 1, 3), sinks = queries(32, 2, 4);
    Rows all(format, 3, 190, 1, 1), entries(format, 0, 70, 1, 2);
    // A row that is not a number, ahead of those that are seen, and one behind them.
    for (const int64_t i : {int64_t(4), int64_t(189)}) all.row(i)[100] = 0x7f;
    const TiledRows rows = all.load(), compressed = entries.load();
    const TiledRows seen{rows.chunks, 3 + 20, 128}, some{compressed.chunks, 0, 45};
    const Sums together = attend({q.data(), 32, 512, 0.05f, sinks.data()}, seen, some);
    Rows only(format, 23, 128, 1, 9), first(format, 0, 45, 1, 9);
    std::copy_n(all.row(20), only.packed.size(), only.row(0));
    std::copy_n(entries.row(0), first.packed.size(), first.row(0));
    const TiledRows w = only.load(), c = first.load();
    for (int64_t h = 0; h < 32; h++) {
        const Sums alone = attend({q.data() + h * 512, 1, 512, 0.05f, sinks.data() + h}, w, c);
        CHECK(std::memcmp(alone.of_head(0), together.of_head(h), 514 * 4) == 0);
        CHECK(std::isfinite(alone.of_head(0)[300]));
    }
    const Sums damaged =
        attend({q.data(), 32, 512, 0.05f, sinks.data()}, {rows.chunks, 3, 128}, some);
    for (int64_t h = 0; h < 32; h++)
        CHECK(std::isnan(damaged.of_head(h)[1]) && std::isnan(damaged.of_head(h)[2]));
}

} // namespace ds4::cpu
