#include "kernels/compressor/compressor.h"

#include <cmath>
#include <cstring>
#include <map>

#include "backend/cpu/blocks/compressor.h"
#include "backend/cpu/blocks/unit_model.h"
#include "base/error.h"
#include "base/test.h"
#include "kernels/cache_rows/cache_rows.h"
#include "kernels/step/step_for_tests.h"

namespace {

using namespace ds4;
using namespace ds4::kernels;
using namespace ds4::kernels::test;

struct Setup {
    int ratio, channels;
    bool is_index, is_packed;
    float scale = 1.0f;
    int halves() const { return ratio == 4 ? 2 : 1; }
    int64_t width() const { return int64_t(halves()) * channels; }
    int64_t row_bytes() const {
        const RowStorage storage = is_packed ? RowStorage::packed : RowStorage::f32;
        return is_index ? IndexRowFormat{channels, storage}.bytes()
                        : KvRowFormat{channels, 64, storage}.bytes();
    }
};

constexpr int kShift = 2; // four entries in a page, so that windows go to several

struct Stream {
    std::vector<float> values, gate, bias, norm;
};

Stream random_stream(const Setup &setup, int64_t tokens, uint32_t seed) {
    return {random_floats(tokens * setup.width(), seed, setup.scale),
            random_floats(tokens * setup.width(), seed + 1, 4.0f),
            random_floats(setup.ratio * setup.width(), seed + 2),
            random_floats(setup.channels, seed + 3)};
}

std::vector<float> slice(const std::vector<float> &all, int64_t begin, int64_t count,
                         int64_t width) {
    return {all.begin() + begin * width, all.begin() + (begin + count) * width};
}

using Entries = std::vector<uint8_t>; // encoded, in the order of windows

// The rows of tokens before `position` as rings hold them.
std::vector<uint8_t> rings(const Setup &setup, const Stream &stream, int64_t position) {
    const int64_t slots = setup.halves() * setup.ratio, row = setup.width() * 4;
    std::vector<uint8_t> out(size_t(2 * slots * row), 0xff);
    for (int64_t t = std::max<int64_t>(0, position - slots); t < position; t++) {
        std::vector<float> gate = slice(stream.gate, t, 1, setup.width());
        for (int64_t i = 0; i < setup.width(); i++)
            gate[size_t(i)] += stream.bias[size_t(t % setup.ratio * setup.width() + i)];
        std::memcpy(out.data() + t % slots * row, stream.values.data() + t * setup.width(),
                    size_t(row));
        std::memcpy(out.data() + (slots + t % slots) * row, gate.data(), size_t(row));
    }
    return out;
}

// Runs one step of two sequences of the same tokens: `count` tokens at `position`, and the last of
// them alone. Returns the pages of the first.
std::vector<std::vector<uint8_t>> run_step(const Setup &setup, const Stream &stream,
                                           int64_t position, int64_t count,
                                           std::vector<float> *gate_out = nullptr) {
    const int64_t slots = setup.halves() * setup.ratio, row = setup.width() * 4;
    const int64_t pages = (position + count) / setup.ratio / (1 << kShift) + 1,
                  page_bytes = 64 + (setup.row_bytes() << kShift);
    const auto plan = [&](int64_t at, int64_t tokens) {
        return SequencePlan{int32_t(at), int32_t(tokens), rings(setup, stream, at),
                            std::vector<std::vector<uint8_t>>(
                                size_t(pages), std::vector<uint8_t>(size_t(page_bytes), 0xab))};
    };
    const StepOnDevice step({plan(position, count), plan(position + count - 1, 1)}, 1);
    std::vector<float> values = slice(stream.values, position, count, setup.width()),
                       gate = slice(stream.gate, position, count, setup.width());
    for (std::vector<float> *part : {&values, &gate}) {
        const std::vector<float> last(part->end() - setup.width(), part->end());
        part->insert(part->end(), last.begin(), last.end());
        part->resize(part->size() + size_t(setup.width()), NAN); // a padded row
    }
    const DeviceArray<float> d_values(values), d_bias(stream.bias), d_norm(stream.norm),
        d_frequencies(Rope(cpu::unit::shape(), true).frequencies());
    const DeviceArray<float> d_gate(gate);
    const RowFormat format{setup.channels, setup.is_index ? 0 : 64, setup.is_packed,
                           int32_t(setup.row_bytes())};
    device::Stream queue;
    compress({step.table(), d_values.data(), d_gate.data(), d_bias.data(), d_norm.data(),
              d_frequencies.data(), setup.ratio, setup.halves(), setup.channels, 64,
              RingLayout{0, int32_t(slots), int32_t(row)},
              RingLayout{slots * row, int32_t(slots), int32_t(row)},
              PagedLayout{64, int32_t(setup.row_bytes()), kShift}, format, setup.is_index, 1e-6f},
             queue);
    queue.wait();
    if (gate_out != nullptr) *gate_out = d_gate.get();
    std::vector<std::vector<uint8_t>> out, other;
    for (int page = 0; page < pages; page++)
        out.push_back(step.page(0, page)), other.push_back(step.page(1, page));
    if ((position + count) % setup.ratio == 0) { // both sequences closed the last window
        const int64_t last = (position + count) / setup.ratio - 1;
        const size_t page = size_t(last >> kShift);
        const auto at = 64 + (last & ((1 << kShift) - 1)) * setup.row_bytes();
        CHECK(std::equal(out[page].begin() + at, out[page].begin() + at + setup.row_bytes(),
                         other[page].begin() + at));
    }
    return out;
}

// The entry of a window as the CPU makes it.
std::vector<uint8_t> cpu_entry(const Setup &setup, const Stream &stream, int64_t window) {
    cpu::unit::Bench bench(machine::best_isa(), RowStorage::f32, 1);
    cpu::Compressor compressor(bench.context);
    const LayerShape layer{setup.ratio, 10.0f, 10.0f, false};
    const cpu::CompressorState state(layer, setup.channels);
    std::vector<float> gate = stream.gate;
    const int64_t tokens = int64_t(gate.size()) / setup.width();
    const cpu::CompressorInput in{0,
                                  tokens,
                                  stream.values.data(),
                                  gate.data(),
                                  stream.norm.data(),
                                  stream.bias.data(),
                                  setup.ratio,
                                  setup.halves(),
                                  setup.channels};
    for (int64_t t = 0; t < tokens; t++) cpu::Compressor::add_position_bias(in, t);
    std::vector<uint8_t> out(size_t(setup.row_bytes()));
    const RowStorage storage = setup.is_packed ? RowStorage::packed : RowStorage::f32;
    compressor.close(in, state, bench.context.compressed_rope, window, 0, [&](float *entry) {
        if (setup.is_index)
            IndexRowFormat{setup.channels, storage}.encode(entry, out.data());
        else
            KvRowFormat{setup.channels, 64, storage}.encode(entry, out.data());
    });
    return out;
}

void check_entries(const Setup &setup, const Stream &stream, int64_t position, int64_t count) {
    const auto pages = run_step(setup, stream, position, count);
    int64_t differ = 0, total = 0;
    for (int64_t window = 0; window < int64_t(pages.size()) << kShift; window++) {
        const uint8_t *row = pages[size_t(window >> kShift)].data() + 64 +
                             (window & ((1 << kShift) - 1)) * setup.row_bytes();
        const int64_t last = (window + 1) * setup.ratio - 1;
        if (last < position || last >= position + count) {
            for (int64_t i = 0; i < setup.row_bytes(); i++) CHECK(row[i] == 0xab); // untouched
            continue;
        }
        const std::vector<uint8_t> expected = cpu_entry(setup, stream, window);
        if (setup.is_packed) {
            for (int64_t i = 0; i < setup.row_bytes(); i++, total++)
                differ += row[i] != expected[size_t(i)];
            continue;
        }
        for (int64_t i = 0; i < setup.channels; i++) {
            float got, wanted;
            std::memcpy(&got, row + i * 4, 4), std::memcpy(&wanted, expected.data() + i * 4, 4);
            CHECK_CLOSE(got, wanted, 1e-6 * std::max(1.0, double(std::fabs(wanted))));
        }
    }
    CHECK(differ * 500 <= total);
}

TEST(
    "windows that a step closes become the CPU's entries, from rings, from the step or from both") {
    for (const Setup &setup : {Setup{4, 512, false, true},
                               {4, 128, true, true},
                               {4, 64, true, true},
                               {4, 256, true, true},
                               {4, 128, true, false},
                               {4, 128, false, false}}) {
        const Stream stream = random_stream(setup, 48, 7);
        for (const auto &[position, count] :
             {std::pair{0, 40}, {0, 3}, {3, 1}, {3, 2}, {5, 17}, {7, 1}, {31, 9}, {8, 1}})
            check_entries(setup, stream, position, count);
    }
    for (const Setup &setup : {Setup{128, 512, false, true}, {128, 128, false, false}}) {
        const Stream stream = random_stream(setup, 300, 9);
        for (const auto &[position, count] : {std::pair{0, 300}, {127, 1}, {100, 30}, {250, 8}})
            check_entries(setup, stream, position, count);
    }
    for (const float scale : {1e-20f, 1e15f}) {
        const Setup setup{4, 512, false, true, scale};
        check_entries(setup, random_stream(setup, 24, 11), 2, 20);
    }
}

TEST("an entry has the same bits however its tokens are split into steps") {
    for (const Setup &setup :
         {Setup{4, 128, false, true}, {4, 128, true, true}, {128, 128, false, false}}) {
        const int64_t tokens = setup.ratio == 4 ? 16 : 256;
        const Stream stream = random_stream(setup, tokens, 13);
        const auto whole = run_step(setup, stream, 0, tokens);
        for (const int64_t split :
             std::vector<int64_t>{1, setup.ratio - 1, setup.ratio + 1, tokens - 1}) {
            auto first = run_step(setup, stream, 0, split);
            first.resize(whole.size(), std::vector<uint8_t>(whole[0].size(), 0xab));
            const auto second = run_step(setup, stream, split, tokens - split);
            for (size_t page = 0; page < whole.size(); page++)
                for (size_t i = 0; i < whole[page].size(); i++)
                    CHECK(whole[page][i] ==
                          (second[page][i] == 0xab ? first[page][i] : second[page][i]));
        }
    }
}

TEST("the gate gets the bias of each row's position, once, and padded rows stay") {
    const Setup setup{4, 128, false, true};
    const Stream stream = random_stream(setup, 12, 17);
    std::vector<float> gate;
    run_step(setup, stream, 3, 6, &gate);
    const int64_t width = setup.width();
    for (int64_t i = 0; i < 6 * width; i++)
        CHECK(gate[size_t(i)] == stream.gate[size_t(3 * width + i)] +
                                     stream.bias[size_t((3 + i / width) % 4 * width + i % width)]);
    for (int64_t i = 7 * width; i < 8 * width; i++) CHECK(std::isnan(gate[size_t(i)]));
}

TEST("rows that are staged in the same launch are the last ones, with biased gates") {
    const Setup setup{4, 128, false, true};
    const Stream stream = random_stream(setup, 20, 19);
    const int64_t slots = 8, row = setup.width() * 4;
    for (const auto &[position, count] : {std::pair{3, 14}, {6, 2}, {0, 1}}) {
        const std::vector<uint8_t> recent = rings(setup, stream, position);
        const StepOnDevice step({{position,
                                  count,
                                  recent,
                                  {std::vector<uint8_t>(size_t(64 + 8 * setup.row_bytes()), 0)}}},
                                1);
        std::vector<float> values = slice(stream.values, position, count, setup.width()),
                           gate = slice(stream.gate, position, count, setup.width());
        values.resize(values.size() + size_t(setup.width()), NAN), gate.resize(values.size(), NAN);
        const DeviceArray<float> d_values(values), d_gate(gate), d_bias(stream.bias),
            d_norm(stream.norm), d_frequencies(Rope(cpu::unit::shape(), true).frequencies());
        const CompressParams params{step.table(),
                                    d_values.data(),
                                    d_gate.data(),
                                    d_bias.data(),
                                    d_norm.data(),
                                    d_frequencies.data(),
                                    4,
                                    2,
                                    128,
                                    64,
                                    RingLayout{0, 8, int32_t(row)},
                                    RingLayout{slots * row, 8, int32_t(row)},
                                    PagedLayout{64, int32_t(setup.row_bytes()), 3},
                                    {128, 64, true, int32_t(setup.row_bytes())},
                                    false,
                                    1e-6f};
        device::Stream queue;
        compress_and_stage({&params, 1}, queue);
        queue.wait();
        CHECK(std::memcmp(d_gate.get().data(), gate.data(), gate.size() * 4) == 0);
        CHECK(step.recent(0) == recent);
        // rings() of the position after the step holds exactly the rows that a commit would keep
        const std::vector<uint8_t> after = rings(setup, stream, position + count),
                                   staged = step.staged(0);
        for (int64_t t = std::max<int64_t>(position, position + count - slots);
             t < position + count; t++)
            for (const int64_t at : {t % slots * row, (slots + t % slots) * row})
                CHECK(std::memcmp(staged.data() + at, after.data() + at, size_t(row)) == 0);
        for (int64_t t = position + count; t < position + slots; t++) // other slots stay
            CHECK(staged[size_t(t % slots * row)] == 0xee);
    }
    device::Stream queue;
    bool is_refused = false;
    try {
        compress_and_stage({}, queue);
    } catch (const Error &) {
        is_refused = true;
    }
    CHECK(is_refused);
}

} // namespace
