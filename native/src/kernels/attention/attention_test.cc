#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/test.h"
#include "kernels/step/step_for_tests.h"
#include "kv/row_formats.h"
#include "model/rope.h"

namespace {

using namespace ds4;
using namespace ds4::kernels;
using namespace ds4::kernels::test;

constexpr int kRotary = 64;
constexpr int kShift = 5; // entries in a page: 32
constexpr int64_t kWindowOffset = 128, kEntriesOffset = 64;

struct Model {
    int heads, groups, channels, window, ratio, top_k; // top_k 0: all entries
    bool is_packed = true;
    float scale = 1.0f; // of queries and rows
    float sink = 0.3f;

    KvRowFormat format() const {
        return {channels, kRotary, is_packed ? RowStorage::packed : RowStorage::f32};
    }
    int64_t visible(int64_t position) const { return ratio == 0 ? 0 : (position + 1) / ratio; }
};
struct Place {
    int32_t position, count;
};

// Rows are functions of their place alone, so that every step sees the same.
std::vector<uint8_t> encoded_row(const Model &m, uint32_t seed) {
    std::vector<float> x = random_floats(m.channels, seed, m.scale * 4.0f);
    for (size_t i = 0; i < x.size(); i += 5) x[i] *= 0x1p-8f;
    std::vector<uint8_t> out(size_t(m.format().bytes()));
    m.format().encode(x.data(), out.data());
    return out;
}
std::vector<uint8_t> window_row(const Model &m, int64_t position) {
    return encoded_row(m, uint32_t(position * 2 + 1));
}
std::vector<uint8_t> entry_row(const Model &m, int64_t entry) {
    return encoded_row(m, uint32_t(entry * 2 + 1000000));
}
std::vector<float> query(const Model &m, int64_t position) {
    return random_floats(int64_t(m.heads) * m.channels, uint32_t(position + 77), m.scale * 2.0f);
}
std::vector<int32_t> chosen_of(const Model &m, int64_t position) {
    const int64_t visible = m.visible(position), count = std::min<int64_t>(visible, m.top_k);
    std::vector<int32_t> out;
    for (int64_t i = 0; i < count; i++) out.push_back(int32_t(i * visible / count));
    return out;
}
std::vector<float> angles_of(int64_t position) {
    std::vector<float> frequencies, out(kRotary);
    for (int i = 0; i < kRotary / 2; i++) frequencies.push_back(float(std::pow(1e4, -i / 32.0)));
    Rope(frequencies).angles(uint32_t(position), out.data());
    return out;
}
std::vector<float> sinks_of(const Model &m) {
    std::vector<float> out;
    for (int h = 0; h < m.heads; h++) out.push_back(m.sink + 0.25f * float(h % 5));
    return out;
}

SequencePlan plan_of(const Model &m, const Place &place) {
    SequencePlan plan{place.position, place.count};
    const size_t bytes = size_t(m.format().bytes());
    plan.recent.assign(size_t(kWindowOffset) + size_t(m.window) * bytes, 0x7f); // NaN
    for (int64_t p = std::max(0, place.position - m.window); p < place.position; p++)
        std::memcpy(plan.recent.data() + kWindowOffset + p % m.window * int64_t(bytes),
                    window_row(m, p).data(), bytes);
    const int64_t visible = m.visible(place.position + place.count - 1);
    for (int64_t begin = 0; begin < visible; begin += 1 << kShift) {
        std::vector<uint8_t> page(size_t(kEntriesOffset) + (bytes << kShift), 0x7f);
        for (int64_t i = begin; i < std::min<int64_t>(visible, begin + (1 << kShift)); i++)
            std::memcpy(page.data() + kEntriesOffset + (i - begin) * int64_t(bytes),
                        entry_row(m, i).data(), bytes);
        plan.pages.push_back(std::move(page));
    }
    return plan;
}

template <typename T> void append(std::vector<T> &to, const std::vector<T> &values) {
    to.insert(to.end(), values.begin(), values.end());
}

struct Inputs {
    std::vector<float> q, angles;
    std::vector<uint8_t> kv;
    std::vector<int32_t> chosen, counts;
};
Inputs inputs_of(const Model &m, const std::vector<Place> &places, int padding) {
    Inputs in;
    for (const Place &place : places)
        for (int64_t p = place.position; p < place.position + place.count; p++) {
            append(in.q, query(m, p)), append(in.angles, angles_of(p));
            append(in.kv, window_row(m, p));
            std::vector<int32_t> chosen = chosen_of(m, p);
            in.counts.push_back(int32_t(chosen.size()));
            chosen.resize(size_t(m.top_k), -1);
            append(in.chosen, chosen);
        }
    const size_t rows = in.counts.size() + size_t(padding);
    in.q.resize(rows * size_t(m.heads * m.channels), NAN), in.angles.resize(rows * kRotary, NAN);
    in.kv.resize(rows * size_t(m.format().bytes()), 0x7f), in.counts.resize(rows, 1 << 30);
    in.chosen.resize(rows * size_t(m.top_k), -1);
    return in;
}

// Output of every row [heads, channels], in order. bound: of the entries that a row sees; a large
// one makes blocks take whole queries.
std::vector<std::vector<float>> run(const Model &m, const std::vector<Place> &places,
                                    int64_t bound = 0, int padding = 0) {
    std::vector<SequencePlan> plans;
    for (const Place &place : places) {
        plans.push_back(plan_of(m, place));
        bound = std::max(bound, m.visible(place.position + place.count - 1));
    }
    const StepOnDevice step(plans, padding);
    const Inputs in = inputs_of(m, places, padding);
    const DeviceArray<float> q(in.q), angles(in.angles), sinks(sinks_of(m));
    const DeviceArray<uint8_t> kv(in.kv);
    const DeviceArray<int32_t> chosen(in.chosen), counts(in.counts);
    const int32_t row_bytes = int32_t(m.format().bytes());
    AttendParams p{};
    p.step = step.table(), p.q = q.data(), p.kv_rows = kv.data(), p.angles = angles.data();
    p.sinks = sinks.data(), p.heads = m.heads, p.channels = m.channels;
    p.format = {m.channels, kRotary, m.is_packed, row_bytes};
    p.sliding_window = m.window, p.window = {kWindowOffset, m.window, row_bytes};
    p.entries = {kEntriesOffset, row_bytes, kShift}, p.ratio = m.ratio;
    if (m.top_k > 0) p.chosen = chosen.data(), p.chosen_counts = counts.data();
    p.top_k = m.top_k, p.max_visible = bound, p.groups = m.groups;
    const size_t rows = in.counts.size(), width = size_t(m.heads / m.groups * m.channels);
    const DeviceArray<float> scratch(size_t(attend_scratch_floats(p))),
        out(rows * size_t(m.heads * m.channels));
    p.scratch = scratch.data(), p.out = out.data();
    device::Stream stream;
    attend(p, stream);
    const std::vector<float> values = out.get();
    std::vector<std::vector<float>> by_row(rows);
    for (size_t g = 0; g < size_t(m.groups); g++)
        for (size_t r = 0; r < rows; r++)
            by_row[r].insert(by_row[r].end(), values.begin() + int64_t((g * rows + r) * width),
                             values.begin() + int64_t((g * rows + r + 1) * width));
    return by_row;
}

std::vector<double> decoded(const Model &m, const std::vector<uint8_t> &row) {
    std::vector<float> x(static_cast<size_t>(m.channels));
    m.format().decode(row.data(), x.data());
    return {x.begin(), x.end()};
}

// One head by the definition, in f64.
std::vector<double> attend_head(const Model &m, const float *q, double sink,
                                const std::vector<std::vector<double>> &rows) {
    std::vector<double> scores, out(size_t(m.channels), 0.0);
    double highest = sink, total = 0.0;
    for (const std::vector<double> &row : rows) {
        double dot = 0.0;
        for (int i = 0; i < m.channels; i++) dot += double(q[i]) * row[size_t(i)];
        scores.push_back(dot / std::sqrt(double(m.channels)));
        highest = std::max(highest, scores.back());
    }
    for (const double score : scores) total += std::exp(score - highest);
    total += std::exp(sink - highest);
    for (size_t r = 0; r < rows.size(); r++)
        for (int i = 0; i < m.channels; i++)
            out[size_t(i)] += std::exp(scores[r] - highest) / total * rows[r][size_t(i)];
    return out;
}

std::vector<double> expected(const Model &m, int64_t position) {
    std::vector<std::vector<double>> rows;
    for (int64_t p = std::max<int64_t>(0, position - m.window + 1); p <= position; p++)
        rows.push_back(decoded(m, window_row(m, p)));
    if (m.top_k > 0)
        for (const int32_t entry : chosen_of(m, position))
            rows.push_back(decoded(m, entry_row(m, entry)));
    else
        for (int64_t i = 0; i < m.visible(position); i++)
            rows.push_back(decoded(m, entry_row(m, i)));
    const std::vector<float> q = query(m, position), angles = angles_of(position),
                             sinks = sinks_of(m);
    std::vector<double> all;
    for (int h = 0; h < m.heads; h++) {
        std::vector<double> out = attend_head(m, q.data() + h * m.channels, sinks[size_t(h)], rows);
        double *turned = out.data() + m.channels - kRotary;
        for (int i = 0; i < kRotary / 2; i++) {
            const double c = angles[size_t(i)], s = angles[size_t(kRotary / 2 + i)],
                         a = turned[2 * i], b = turned[2 * i + 1];
            turned[2 * i] = a * c + b * s, turned[2 * i + 1] = b * c - a * s;
        }
        append(all, out);
    }
    return all;
}

// The largest error over the largest value.
double relative_error(const Model &m, const std::vector<Place> &places,
                      const std::vector<std::vector<float>> &out) {
    double error = 0.0, largest = 0.0;
    size_t row = 0;
    for (const Place &place : places)
        for (int64_t p = place.position; p < place.position + place.count; p++, row++) {
            const std::vector<double> reference = expected(m, p);
            for (size_t i = 0; i < reference.size(); i++) {
                const double difference = std::fabs(out[row][i] - reference[i]);
                error = difference <= error ? error : difference; // keeps NaN
                largest = std::max(largest, std::fabs(reference[i]));
            }
        }
    return error / largest;
}

// Errors are relative to the largest value. The emulation stays below 8e-7; tensor cores cut sums
// instead of rounding them.
constexpr double kError = 3e-6;

TEST("attention over window rows equals a float64 loop, from the ring and from the step") {
    for (const bool is_packed : {true, false})
        for (const Model &m : {Model{4, 2, 128, 16, 0, 0},
                               {1, 1, 64, 1, 0, 0},
                               {17, 17, 128, 33, 0, 0},
                               {3, 3, 512, 128, 0, 0}}) {
            Model model = m;
            model.is_packed = is_packed;
            const std::vector<Place> places = {{0, 1}, {15, 3}, {1000, 2}};
            CHECK(relative_error(model, places, run(model, places, 0, 2)) <= kError);
        }
}

TEST("attention over chosen and over all entries equals a float64 loop, at every split's edge") {
    for (const bool is_packed : {true, false})
        for (const int entries : {1, 31, 63, 64, 65, 513, 769}) {
            const Model all{4, 1, 128, 8, 128, 0, is_packed};
            const std::vector<Place> at = {{entries * 128 - 1, 1}};
            CHECK(relative_error(all, at, run(all, at)) <= kError);
            const Model chosen{4, 1, 128, 8, 4, 48, is_packed};
            const std::vector<Place> few = {{entries * 4 - 2, 2}};
            CHECK(relative_error(chosen, few, run(chosen, few)) <= kError);
        }
}

TEST("attention of the model's sizes equals a float64 loop") {
    const Model chosen{64, 8, 512, 128, 4, 512};
    const std::vector<Place> decode = {{3000, 1}};
    CHECK(relative_error(chosen, decode, run(chosen, decode)) <= kError);
    const Model all{16, 1, 512, 128, 128, 0};
    CHECK(relative_error(all, {{20000, 1}}, run(all, {{20000, 1}}, 1 << 20)) <= kError);
}

TEST("attention keeps its accuracy from tiny rows to peaked scores, and a sink can be anything") {
    for (const auto &[scale, tolerance] :
         {std::pair{1e-3f, 1e-5}, {0.1f, kError}, {6.0f, 2e-5}, {20.0f, 2e-4}}) {
        Model m{4, 2, 128, 16, 4, 24};
        // the error of a weight is the absolute error of its score, which grows with its square
        m.scale = scale;
        CHECK(relative_error(m, {{200, 1}}, run(m, {{200, 1}})) <= tolerance);
    }
    for (const float sink : {-INFINITY, -40.0f, 60.0f}) {
        Model m{4, 2, 128, 16, 4, 24};
        m.sink = sink; // exp(-60) is as exact as its argument
        CHECK(relative_error(m, {{200, 1}}, run(m, {{200, 1}})) <= (sink > 1.0f ? 1e-5 : kError));
    }
}

TEST("values beyond f16 in packed rows show as not finite, and are no wrong numbers") {
    Model m{4, 2, 128, 16, 4, 24};
    m.scale = 1e6f;
    bool is_finite = true;
    const std::vector<float> out = run(m, {{200, 1}})[0];
    for (const float value : out) is_finite = is_finite && std::isfinite(value);
    CHECK(!is_finite);
}

TEST("a row has the same bits in any step, batch and form of the launch") {
    for (const bool is_packed : {true, false})
        for (const Model &m :
             {Model{5, 1, 128, 70, 4, 80}, {4, 2, 192, 16, 4, 0}, {2, 1, 128, 40, 128, 0}}) {
            Model model = m;
            model.is_packed = is_packed;
            const int start = m.ratio == 128 ? 128 * 530 : 2120;
            const auto batch = run(model, {{0, 3}, {start, 2}, {50, 2}}, 0, 1),
                       whole = run(model, {{0, 3}, {start, 2}, {50, 2}}, 1 << 24, 1);
            CHECK(batch.size() == 8);
            for (const float value : whole[7]) CHECK(std::isnan(value)); // padded rows stay
            for (size_t i = 0; i < 7; i++) CHECK(batch[i] == whole[i]);
            for (const int i : {0, 1}) {
                CHECK(run(model, {{start + i, 1}})[0] == batch[size_t(3 + i)]);
                CHECK(run(model, {{start + i, 1}}, 1 << 24)[0] == batch[size_t(3 + i)]);
            }
            CHECK(run(model, {{51, 1}}, 5000)[0] == batch[6]);
        }
}

TEST("a step of no rows launches nothing, and shapes that no kernel takes are refused") {
    AttendParams p{};
    p.heads = 4, p.channels = 128, p.groups = 1, p.format = {128, 64, true, 208};
    p.sliding_window = 16;
    device::Stream stream;
    attend(p, stream);
    CHECK(attend_scratch_floats(p) == 0);
    const auto is_refused = [&](AttendParams bad) {
        try {
            attend(bad, stream);
            return false;
        } catch (const Error &) {
            return true;
        }
    };
    AttendParams bad = p;
    bad.channels = 1024;
    CHECK(is_refused(bad));
    bad = p, bad.format.rotary = 32;
    CHECK(is_refused(bad));
    bad = p, bad.groups = 3;
    CHECK(is_refused(bad));
}

TEST("the scratch covers steps of fewer rows") {
    AttendParams p{};
    p.heads = 64, p.channels = 512, p.sliding_window = 128, p.ratio = 128, p.max_visible = 8192;
    int64_t most = 0;
    for (p.step.rows = 0; p.step.rows <= 8192; p.step.rows++) {
        const int64_t floats = attend_scratch_floats(p);
        CHECK(floats >= most);
        most = floats;
    }
    CHECK(most * 4 <= 68 << 20);
}

} // namespace
