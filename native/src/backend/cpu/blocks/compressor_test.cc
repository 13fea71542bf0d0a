#include "backend/cpu/blocks/compressor.h"

#include <cmath>
#include <map>
#include <vector>

#include "backend/cpu/blocks/unit_model.h"
#include "base/test.h"
#include "machine/instruction_sets.h"

using namespace ds4;
using namespace ds4::cpu;

namespace {

constexpr int kDim = 512;

struct Stream {
    std::vector<float> values, gate; // [tokens, halves * dim]
};

Stream random_stream(int64_t tokens, int halves, uint32_t seed) {
    Stream out;
    for (std::vector<float> *part : {&out.values, &out.gate}) {
        part->resize(size_t(tokens * halves * kDim));
        for (float &value : *part) {
            seed = seed * 1664525u + 1013904223u;
            value = float(int32_t(seed)) * 0x1p-30f;
        }
    }
    return out;
}

using Entries = std::map<int64_t, std::vector<float>>;

// Feeds the stream in chunks; the last size repeats.
Entries compress(const Stream &stream, int64_t tokens, const LayerShape &layer,
                 const std::vector<int64_t> &chunks, const std::vector<float> &bias) {
    unit::Bench bench(machine::best_isa(), RowStorage::f32, 1);
    Compressor compressor(bench.context);
    CompressorState state(layer, kDim);
    const std::vector<float> norm(kDim, 1.0f);
    Entries entries;
    const int halves = layer.compressor_halves();
    const int64_t width = int64_t(halves) * kDim;
    std::vector<float> gate = stream.gate;
    for (int64_t begin = 0, i = 0; begin < tokens; i++) {
        const int64_t size = std::min(
            tokens - begin, chunks[size_t(std::min<int64_t>(i, int64_t(chunks.size()) - 1))]);
        const CompressorInput in{begin,
                                 size,
                                 stream.values.data() + begin * width,
                                 gate.data() + begin * width,
                                 norm.data(),
                                 bias.data(),
                                 layer.compress_ratio,
                                 halves,
                                 kDim};
        for (int64_t t = 0; t < size; t++) Compressor::add_position_bias(in, t);
        for (int64_t window = Compressor::first_window(in); window < Compressor::end_window(in);
             window++)
            compressor.close(
                in, state, bench.context.compressed_rope, window, 0,
                [&](const float *entry) { entries[window].assign(entry, entry + kDim); });
        Compressor::stage(in, state);
        state.values.commit(begin + size), state.scores.commit(begin + size);
        begin += size;
    }
    return entries;
}

std::vector<float> no_bias(const LayerShape &layer) {
    return std::vector<float>(size_t(layer.compress_ratio * layer.compressor_halves() * kDim),
                              0.0f);
}

} // namespace

TEST("entries close at every window's last token, whatever the chunks, with the same bits") {
    for (const int ratio : {4, 128}) {
        const LayerShape layer{ratio, 10.0f, 10.0f, false};
        const Stream stream = random_stream(300, layer.compressor_halves(), 5);
        const Entries one_by_one = compress(stream, 300, layer, {1}, no_bias(layer));
        CHECK(int64_t(one_by_one.size()) == 300 / ratio);
        for (int64_t length = 1; length <= 300; length += ratio == 4 ? 1 : 13) {
            const Entries whole = compress(stream, length, layer, {length}, no_bias(layer));
            CHECK(int64_t(whole.size()) == length / ratio);
            for (const auto &[window, entry] : whole) CHECK(entry == one_by_one.at(window));
        }
        for (const auto &chunks :
             {std::vector<int64_t>{3}, std::vector<int64_t>{5, 2},
              std::vector<int64_t>{127, 1, 1, 300}, std::vector<int64_t>{129, 7}})
            CHECK(compress(stream, 300, layer, chunks, no_bias(layer)) == one_by_one);
    }
}

TEST(
    "an entry depends on its own tokens only: eight with overlap, four at the start, 128 without") {
    for (const int ratio : {4, 128}) {
        const LayerShape layer{ratio, 10.0f, 10.0f, false};
        const int64_t tokens = ratio == 4 ? 20 : 384,
                      width = int64_t(layer.compressor_halves()) * kDim;
        const Stream stream = random_stream(tokens, layer.compressor_halves(), 11);
        const Entries before = compress(stream, tokens, layer, {tokens}, no_bias(layer));
        for (int64_t t = 0; t < tokens; t += ratio == 4 ? 1 : 61) {
            Stream changed = stream;
            for (int64_t i = 0; i < width; i++) changed.values[size_t(t * width + i)] += 0.5f;
            const Entries after = compress(changed, tokens, layer, {tokens}, no_bias(layer));
            for (const auto &[window, entry] : before) {
                const int64_t first = ratio == 4 ? window * 4 - 4 : window * 128,
                              last = (window + 1) * ratio - 1;
                CHECK((after.at(window) != entry) == (t >= first && t <= last));
            }
        }
    }
}

TEST("constant gates pool to the normalised plain mean, rotated at the window's first token") {
    for (const int ratio : {4, 128}) {
        const LayerShape layer{ratio, 10.0f, 10.0f, false};
        const int64_t tokens = ratio * 3, width = int64_t(layer.compressor_halves()) * kDim;
        Stream stream = random_stream(tokens, layer.compressor_halves(), 23);
        std::fill(stream.gate.begin(), stream.gate.end(), 0.75f);
        const Entries entries = compress(stream, tokens, layer, {tokens}, no_bias(layer));
        const Rope rope(unit::shape(), true);
        for (const auto &[window, entry] : entries) {
            std::vector<double> mean(kDim, 0.0);
            int candidates = 0;
            const auto add = [&](int64_t token, int half) {
                for (int d = 0; d < kDim; d++)
                    mean[size_t(d)] += stream.values[size_t(token * width + half * kDim + d)];
                candidates++;
            };
            if (ratio == 4 && window > 0)
                for (int64_t t = window * 4 - 4; t < window * 4; t++) add(t, 0);
            for (int64_t t = window * ratio; t < (window + 1) * ratio; t++)
                add(t, layer.compressor_halves() - 1);
            CHECK(candidates == (ratio == 128 ? 128 : window == 0 ? 4 : 8));
            double squares = 0.0;
            for (double &value : mean) value /= candidates, squares += value * value;
            const double scale = 1.0 / std::sqrt(squares / kDim + 1e-6);
            std::vector<float> back = entry, angles(64);
            rope.angles(uint32_t(window * ratio), angles.data());
            rotate(back.data() + kDim - 64, angles.data(), 64, true);
            for (int d = 0; d < kDim; d++)
                CHECK_CLOSE(back[size_t(d)], mean[size_t(d)] * scale, 5.7e-6);
        }
    }
}

TEST("the position bias counts by position within the window") {
    const LayerShape layer{4, 10.0f, 10.0f, false};
    Stream stream = random_stream(8, 2, 3);
    std::fill(stream.gate.begin(), stream.gate.end(), 0.0f);
    std::vector<float> bias = no_bias(layer);
    for (int i = 0; i < 2 * kDim; i++)
        bias[size_t(2 * 2 * kDim + i)] = 200.0f; // only the third token of a window counts
    const Entries entries = compress(stream, 8, layer, {8}, bias);
    const Rope rope(unit::shape(), true);
    std::vector<float> first = entries.at(0);
    // entry 0: the second half of token 2 alone, normalised; position 0 rotates nothing
    double squares = 0.0;
    for (int d = 0; d < kDim; d++)
        squares += std::pow(double(stream.values[size_t(2 * 2 * kDim + kDim + d)]), 2);
    for (int d = 0; d < kDim; d++)
        CHECK_CLOSE(first[size_t(d)],
                    stream.values[size_t(2 * 2 * kDim + kDim + d)] /
                        std::sqrt(squares / kDim + 1e-6),
                    1.7e-7);
}

TEST("the position bias is that of the window's positions, wherever a step begins") {
    for (const int ratio : {4, 128}) {
        const LayerShape layer{ratio, 10.0f, 10.0f, false};
        const int halves = layer.compressor_halves();
        const Stream stream = random_stream(270, halves, 9);
        const std::vector<float> bias = random_stream(ratio, halves, 11).values;
        const Entries whole = compress(stream, 270, layer, {270}, bias);
        CHECK(compress(stream, 270, layer, {3, 130, 1, 5}, bias) == whole);
        CHECK(compress(stream, 270, layer, {270}, no_bias(layer)) != whole);
    }
}
