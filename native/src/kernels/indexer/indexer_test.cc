#include "kernels/indexer/indexer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include "backend/cpu/blocks/top_rows.h"
#include "base/error.h"
#include "base/test.h"
#include "ds4.h"
#include "kv/row_formats.h"
#include "model/rope.h"

namespace {

using namespace ds4;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Row {
    int sequence, position;
};

// Sequences of a step with index rows in pages of 2^shift entries.
struct Setting {
    int heads = 64, channels = 128, ratio = 4, top_k = 8, shift = 4;
    bool is_packed = true;
    std::vector<Row> rows;
    int64_t entry_bytes() const {
        return IndexRowFormat{channels, is_packed ? RowStorage::packed : RowStorage::f32}.bytes();
    }
    int64_t visible(size_t row) const {
        return rows[row].sequence < 0 ? 0 : (rows[row].position + 1) / ratio;
    }
    int64_t max_visible() const {
        int64_t most = 0;
        for (size_t r = 0; r < rows.size(); r++) most = std::max(most, visible(r));
        return most;
    }
};

struct Inputs {
    std::vector<float> queries, weights;       // after rope and transform
    std::vector<uint8_t> packed;               // queries as index rows
    std::vector<std::vector<uint8_t>> entries; // a sequence: [entries, entry bytes]
};

Inputs make_inputs(const Setting &s, float size, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    const size_t heads = s.rows.size() * size_t(s.heads), channels = size_t(s.channels);
    const IndexRowFormat format{s.channels, s.is_packed ? RowStorage::packed : RowStorage::f32};
    Inputs in;
    std::vector<float> values(channels);
    const auto encode = [&](float scale, std::vector<uint8_t> &out) {
        for (float &value : values) value = normal(random) * scale;
        const size_t at = out.size();
        out.resize(at + size_t(format.bytes()));
        if (s.is_packed)
            format.encode_transformed(values.data(), out.data() + at);
        else
            format.encode(values.data(), out.data() + at);
        format.decode(out.data() + at, values.data());
    };
    for (size_t h = 0; h < heads; h++) {
        encode(size, in.packed);
        in.queries.insert(in.queries.end(), values.begin(), values.end());
        in.weights.push_back(normal(random));
    }
    int sequences = 0;
    for (const Row &row : s.rows) sequences = std::max(sequences, row.sequence + 1);
    in.entries.resize(size_t(sequences));
    for (auto &entries : in.entries)
        for (int64_t e = 0; e < s.max_visible(); e++) encode(1.0f / size, entries);
    return in;
}

device::Memory upload_bytes(const void *from, size_t bytes, device::Stream &stream) {
    device::Memory memory(std::max<size_t>(bytes, 1));
    if (bytes > 0) stream.to_device(memory.data(), from, bytes);
    return memory;
}
template <typename T> device::Memory upload(const std::vector<T> &values, device::Stream &stream) {
    return upload_bytes(values.data(), values.size() * sizeof(T), stream);
}

// The step table of rows that lie in order of their sequences.
struct Step {
    std::vector<device::Memory> pages, page_tables;
    device::Memory row_sequence, row_position, sequences;
    kernels::StepTable table;

    Step(const Setting &s, const Inputs &in, device::Stream &stream) {
        constexpr int64_t kOffset = 64; // of the index rows in a page
        const int64_t run = int64_t(1) << s.shift, bytes = s.entry_bytes();
        std::vector<kernels::SequenceEntry> entries;
        for (size_t q = 0; q < in.entries.size(); q++) {
            const auto &rows = in.entries[q];
            std::vector<uint8_t *> table_of;
            for (size_t at = 0; at < rows.size(); at += size_t(run * bytes)) {
                pages.emplace_back(uint64_t(kOffset + run * bytes));
                stream.to_device(pages.back().data() + kOffset, rows.data() + at,
                                 std::min(size_t(run * bytes), rows.size() - at));
                table_of.push_back(pages.back().data());
            }
            page_tables.push_back(upload(table_of, stream));
            kernels::SequenceEntry entry{};
            entry.position = INT32_MAX;
            for (size_t r = 0; r < s.rows.size(); r++) {
                if (s.rows[r].sequence != int(q)) continue;
                if (entry.count++ == 0)
                    entry.first_row = int(r), entry.position = s.rows[r].position;
            }
            entry.page_count = int32_t(table_of.size());
            entry.pages = page_tables.back().as<uint8_t *>();
            entries.push_back(entry);
        }
        std::vector<int32_t> ids, positions;
        for (const Row &row : s.rows)
            ids.push_back(row.sequence), positions.push_back(row.position);
        row_sequence = upload(ids, stream), row_position = upload(positions, stream);
        sequences = upload(entries, stream);
        table.rows = int32_t(s.rows.size()), table.sequence_count = int32_t(entries.size());
        table.row_sequence = row_sequence.as<int32_t>();
        table.row_position = row_position.as<int32_t>();
        table.sequences = sequences.as<kernels::SequenceEntry>();
    }
};

struct Selected {
    std::vector<float> scores; // of the rows that were scored last
    std::vector<int32_t> chosen, counts;
    int64_t stride = 0;
};

Selected select(const Setting &s, const Inputs &in, int score_rows, int64_t more_visible = 0) {
    device::Stream stream;
    const Step step(s, in, stream);
    const device::Memory queries = upload(in.queries, stream), packed = upload(in.packed, stream),
                         weights = upload(in.weights, stream);
    kernels::SelectParams p{};
    p.step = step.table, p.weights = weights.as<float>();
    p.q = s.is_packed ? nullptr : queries.as<float>();
    p.packed = s.is_packed ? packed.data() : nullptr;
    p.heads = s.heads, p.channels = s.channels, p.ratio = s.ratio, p.top_k = s.top_k;
    p.entries = {64, int32_t(s.entry_bytes()), s.shift};
    p.format = {s.channels, 0, s.is_packed, int32_t(s.entry_bytes())};
    p.max_visible = s.max_visible() + more_visible, p.score_rows = score_rows;
    const size_t scratch = size_t(kernels::select_scratch(score_rows, p.max_visible, s.top_k));
    device::Memory scores(std::max<size_t>(scratch, 1) * 4),
        chosen(std::max<size_t>(s.rows.size() * size_t(s.top_k), 1) * 4),
        counts(std::max<size_t>(s.rows.size(), 1) * 4);
    stream.fill(scores.data(), 0xff, scores.bytes());
    stream.fill(chosen.data(), 0xff, chosen.bytes());
    stream.fill(counts.data(), 0xff, counts.bytes());
    p.scores = scores.as<float>(), p.chosen = chosen.as<int32_t>();
    p.chosen_counts = counts.as<int32_t>();
    kernels::select_entries(p, stream);
    Selected out;
    out.scores.resize(scratch), out.chosen.resize(s.rows.size() * size_t(s.top_k));
    out.counts.resize(s.rows.size()), out.stride = (p.max_visible + 3) / 4 * 4;
    stream.to_host(out.scores.data(), scores.data(), scratch * 4);
    stream.to_host(out.chosen.data(), chosen.data(), out.chosen.size() * 4);
    stream.to_host(out.counts.data(), counts.data(), out.counts.size() * 4);
    stream.wait();
    return out;
}

double exact_score(const Setting &s, const Inputs &in, size_t row, int64_t entry, double &size) {
    const IndexRowFormat format{s.channels, s.is_packed ? RowStorage::packed : RowStorage::f32};
    std::vector<float> key(size_t(s.channels));
    const auto &entries = in.entries[size_t(s.rows[row].sequence)];
    format.decode(entries.data() + entry * s.entry_bytes(), key.data());
    double score = 0;
    size = 0;
    for (size_t h = 0; h < size_t(s.heads); h++) {
        const size_t at = row * size_t(s.heads) + h;
        double product = 0;
        for (size_t c = 0; c < key.size(); c++)
            product += double(in.queries[at * key.size() + c]) * key[c];
        const double weight = in.weights[at] / std::sqrt(double(s.channels) * s.heads);
        score += weight * std::max(product, 0.0);
        size += std::fabs(weight * std::max(product, 0.0));
    }
    return score;
}

// All rows fit in one tile: the scores are those of the formula, and the choice that of the CPU
// for these scores.
void check_selection(const Setting &s, const Inputs &in, const Selected &got) {
    cpu::TopRows top;
    for (size_t r = 0; r < s.rows.size(); r++) {
        const int64_t visible = s.visible(r), top_k = s.top_k;
        const int32_t *chosen = got.chosen.data() + r * size_t(top_k);
        if (s.rows[r].sequence < 0) {
            CHECK(got.counts[r] == -1 && chosen[0] == -1); // padded: nothing is written
            continue;
        }
        CHECK(got.counts[r] == std::min(visible, top_k));
        std::vector<int32_t> expected(size_t(std::min(visible, top_k)));
        if (visible <= top_k) {
            for (size_t i = 0; i < expected.size(); i++) expected[i] = int32_t(i);
        } else {
            const float *scores = got.scores.data() + int64_t(r) * got.stride;
            for (int64_t e = 0; e < visible; e += 1 + visible / 50) {
                double size = 0;
                const double score = exact_score(s, in, r, e, size);
                CHECK_CLOSE(scores[e], score, 2e-6 * size);
            }
            top.choose(scores, visible, top_k, expected.data());
        }
        CHECK(std::equal(expected.begin(), expected.end(), chosen));
    }
}

std::vector<Row> rows_of(int sequence, int position, int count) {
    std::vector<Row> rows;
    for (int i = 0; i < count; i++) rows.push_back({sequence, position + i});
    return rows;
}

TEST("index scores are those of the formula, and the best entries those of the CPU") {
    Setting s;
    s.rows = {{0, 2},   {1, 35},  {1, 36},  {2, 511}, {2, 512}, {2, 513},
              {2, 514}, {2, 515}, {2, 516}, {3, 67},  {-1, 0},  {-1, 0}};
    for (const auto &[channels, heads, size] : {std::tuple{128, 64, 1.0f},
                                                {128, 5, 1e-9f},
                                                {64, 70, 1e9f},
                                                {256, 8, 1e18f},
                                                {128, 1, 1e-18f}}) {
        s.channels = channels, s.heads = heads;
        const Inputs in = make_inputs(s, size, unsigned(channels + heads));
        for (int order = 0; order < 2; order++)
            check_selection(s, in, select(s, in, 12, order * 77));
    }
}

TEST("plain index rows are scored in f32") {
    Setting s;
    s.is_packed = false, s.shift = 6;
    s.rows = {{0, 130}, {0, 131}, {1, 30}, {-1, 0}};
    for (const auto &[channels, heads] : {std::pair{128, 64}, {32, 3}, {1024, 9}}) {
        s.channels = channels, s.heads = heads;
        const Inputs in = make_inputs(s, 1.0f, 17);
        for (int order = 0; order < 2; order++) check_selection(s, in, select(s, in, 4));
    }
}

TEST("a row's scores and choice do not depend on the other rows, tiles or the upper bound") {
    for (const bool is_packed : {true, false}) {
        Setting s;
        s.is_packed = is_packed, s.heads = is_packed ? 64 : 6;
        s.rows = rows_of(0, 590, 9);
        const std::vector<Row> second = rows_of(1, 300, 4);
        s.rows.insert(s.rows.end(), second.begin(), second.end());
        const Inputs in = make_inputs(s, 1.0f, 31);
        const Selected all = select(s, in, 13);
        for (const int score_rows : {1, 5}) {
            const Selected tiled = select(s, in, score_rows, 300);
            CHECK(tiled.chosen == all.chosen && tiled.counts == all.counts);
        }
        for (const size_t row : {size_t(0), size_t(8), size_t(10)}) {
            Setting one = s;
            one.rows = {s.rows[row]};
            one.rows[0].sequence = 0;
            Inputs alone;
            const auto part = [&](const auto &values, size_t each) {
                using Values = std::decay_t<decltype(values)>;
                return Values(values.begin() + std::ptrdiff_t(row * each),
                              values.begin() + std::ptrdiff_t((row + 1) * each));
            };
            const size_t heads = size_t(s.heads);
            alone.queries = part(in.queries, heads * size_t(s.channels));
            alone.packed = part(in.packed, heads * size_t(s.entry_bytes()));
            alone.weights = part(in.weights, heads);
            alone.entries = {in.entries[size_t(s.rows[row].sequence)]};
            const Selected got = select(one, alone, 1);
            CHECK(std::equal(got.scores.begin(), got.scores.begin() + one.max_visible(),
                             all.scores.begin() + int64_t(row) * all.stride));
            CHECK(got.chosen == part(all.chosen, size_t(s.top_k)));
        }
    }
}

// Scores of one's own: a single head of weight 1 scores the product, so that the key is the score.
Selected select_scores(const std::vector<std::vector<float>> &scores, int top_k, int score_rows) {
    Setting s;
    s.is_packed = false, s.channels = 4, s.heads = 1, s.top_k = top_k, s.ratio = 1, s.shift = 10;
    Inputs in;
    for (size_t r = 0; r < scores.size(); r++) {
        s.rows.push_back({int(r), int(scores[r].size()) - 1});
        in.queries.insert(in.queries.end(), {1.0f, 0.0f, 0.0f, 0.0f});
        in.weights.push_back(2.0f); // times 1 / sqrt(4)
        std::vector<float> keys(scores[r].size() * 4, 0.0f);
        for (size_t e = 0; e < scores[r].size(); e++) keys[e * 4] = scores[r][e];
        in.entries.emplace_back(keys.size() * 4);
        std::memcpy(in.entries.back().data(), keys.data(), keys.size() * 4);
    }
    return select(s, in, score_rows);
}

void check_choice(const std::vector<float> &scores, const int32_t *chosen, int top_k) {
    std::vector<float> seen = scores; // the head's product ends at 0
    for (float &score : seen) score = score > 0.0f ? score : 0.0f;
    std::vector<int32_t> expected(static_cast<size_t>(top_k));
    cpu::TopRows().choose(seen.data(), int64_t(seen.size()), top_k, expected.data());
    CHECK(std::equal(expected.begin(), expected.end(), chosen));
}

TEST("the best entries are exact for equal scores, crowded bins and NaN") {
    std::mt19937 random(5);
    const size_t count = 6001;
    std::vector<std::vector<float>> rows(6, std::vector<float>(count, 1.25f));
    for (size_t i = 0; i < count; i++) {
        rows[1][i] = 1.0f + float(random() % 3) * 0x1p-23f;      // one bin, last bits
        rows[2][i] = 1.0f + float(random() % 100000) * 0x1p-23f; // one bin, middle bits
        rows[3][i] = i % 7 == 0 ? std::nanf("") : float(random() % 50);
        rows[4][i] = i == 5000 ? 3.0f : 0.0f;
        rows[5][i] = std::ldexp(1.0f + float(random() % 8) / 8, int(random() % 200) - 100);
    }
    rows[3][17] = kInfinity;
    for (const int top_k : {1, 512, 4097, 6000})
        for (int order = 0; order < 2; order++) {
            const Selected got = select_scores(rows, top_k, 6);
            for (size_t r = 0; r < rows.size(); r++)
                check_choice(rows[r], got.chosen.data() + r * size_t(top_k), top_k);
        }
}

TEST("one row of many entries is chosen in parts, with the same result") {
    std::mt19937 random(6);
    std::vector<std::vector<float>> rows(2, std::vector<float>(50'000));
    for (float &score : rows[0]) score = float(random() % 20000);
    rows[1].resize(33'000, 2.0f);
    for (size_t i = 0; i < rows[1].size(); i += 2) rows[1][i] = 2.5f;
    for (const int top_k : {512, 16384}) {
        const Selected parts = select_scores(rows, top_k, 2);
        for (size_t r = 0; r < 2; r++)
            check_choice(rows[r], parts.chosen.data() + r * size_t(top_k), top_k);
    }
    std::vector<std::vector<float>> many(9, std::vector<float>(3, 1.0f)); // beyond the few
    many[4] = rows[0];
    const Selected whole = select_scores(many, 512, 9);
    check_choice(rows[0], whole.chosen.data() + 4 * 512, 512);
}

TEST("index queries are turned, transformed and rounded as on the CPU") {
    std::mt19937 random(9);
    std::normal_distribution<float> normal(0.0f, 3.0f);
    for (const auto &[rows, heads, channels, rotary] : {std::tuple{3, 5, 128, 64},
                                                        {1, 64, 128, 64},
                                                        {2, 3, 64, 64},
                                                        {1, 2, 256, 2},
                                                        {0, 1, 128, 64},
                                                        {2, 3, 32, 16},
                                                        {1, 1, 4096, 64}}) {
        const size_t count = size_t(rows * heads), width = size_t(channels);
        const bool is_packed = channels >= 64 && channels <= 256;
        std::vector<float> q(count * width), angles(size_t(rows * rotary));
        for (float &value : q) value = normal(random);
        for (float &value : angles) value = std::sin(normal(random));
        for (size_t i = 0; i < width && count > 0; i++) q[i] *= 1e-38f; // the floor of the scale
        std::vector<int32_t> sequences(size_t(rows), 0);
        if (rows == 3) sequences[1] = -1;
        for (const bool packs : {false, is_packed}) {
            const IndexRowFormat format{channels, packs ? RowStorage::packed : RowStorage::f32};
            device::Stream stream;
            const device::Memory memory = upload(q, stream), turns = upload(angles, stream),
                                 ids = upload(sequences, stream);
            device::Memory packed(std::max<size_t>(count, 1) * size_t(format.bytes()));
            stream.fill(packed.data(), 0xee, packed.bytes());
            kernels::IndexQueryParams p{};
            p.step.rows = rows, p.step.row_sequence = ids.as<int32_t>();
            p.angles = turns.as<float>(), p.q = memory.as<float>();
            p.heads = heads, p.channels = channels, p.rotary = rotary;
            p.format = {channels, 0, packs, int32_t(format.bytes())};
            p.packed = packs ? packed.data() : nullptr;
            kernels::finish_index_queries(p, stream);
            std::vector<uint8_t> got(count * size_t(format.bytes()));
            stream.to_host(got.data(), packs ? packed.data() : memory.data(), got.size());
            stream.wait();
            for (size_t i = 0; i < count; i++) {
                const size_t row = i / size_t(heads);
                std::vector<float> x(q.begin() + std::ptrdiff_t(i * width),
                                     q.begin() + std::ptrdiff_t((i + 1) * width));
                std::vector<uint8_t> expected(size_t(format.bytes()), 0xee);
                if (sequences[row] >= 0) {
                    rotate(x.data() + channels - rotary, angles.data() + row * size_t(rotary),
                           rotary, false);
                    format.encode(x.data(), expected.data());
                } else if (!packs) {
                    format.encode(x.data(), expected.data());
                }
                CHECK(std::equal(expected.begin(), expected.end(),
                                 got.begin() + std::ptrdiff_t(i * expected.size())));
            }
        }
    }
}

TEST("no rows select nothing, and index rows that no kernel takes are refused") {
    const Setting nothing;
    CHECK(select(nothing, make_inputs(nothing, 1.0f, 1), 1).chosen.empty());
    Setting s;
    s.channels = 32, s.rows = {{0, 100}};
    int32_t status = DS4_OK;
    try {
        select(s, make_inputs(s, 1.0f, 1), 1);
    } catch (const Error &error) {
        status = error.status();
    }
    CHECK(status == DS4_ERR_ARGUMENT);
}

} // namespace
