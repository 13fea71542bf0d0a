#include "kernels/hyper_connections/hyper_connections.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/test.h"
#include "ds4.h"

namespace {

using namespace ds4;

constexpr float kNormEpsilon = 1e-6f, kMixEpsilon = 1e-6f;
constexpr int kTurns = 20;

struct Case {
    int rows, streams, hidden;
    std::vector<float> state, fn, base, scale, norm, y;
    int width() const { return streams * hidden; }
    int outputs() const { return (2 + streams) * streams; }
};

Case make_case(int rows, int streams, int hidden, float size, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    const auto fill = [&](size_t count, float scale) {
        std::vector<float> values(count);
        for (float &value : values) value = normal(random) * scale;
        return values;
    };
    Case c{rows, streams, hidden, {}, {}, {}, {}, {}, {}};
    c.state = fill(size_t(rows) * size_t(c.width()), size);
    c.fn = fill(size_t(c.outputs()) * size_t(c.width()), 2.0f / std::sqrt(float(c.width())));
    c.base = fill(size_t(c.outputs()), 1.0f), c.scale = {0.9f, 1.2f, 0.7f};
    c.norm = fill(size_t(hidden), 1.0f), c.y = fill(size_t(rows) * size_t(hidden), size);
    return c;
}

struct Weights {
    std::vector<double> pre, post, comb;
};

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

Weights exact_weights(const Case &c, const float *v) {
    const size_t n = size_t(c.streams), width = size_t(c.width());
    double squares = 0;
    for (size_t i = 0; i < width; i++) squares += double(v[i]) * v[i];
    const double rms = 1.0 / std::sqrt(squares / double(width) + kNormEpsilon);
    std::vector<double> mix(size_t(c.outputs()), 0.0);
    for (size_t o = 0; o < mix.size(); o++) {
        for (size_t i = 0; i < width; i++) mix[o] += double(c.fn[o * width + i]) * v[i];
        mix[o] *= rms;
    }
    Weights w;
    for (size_t i = 0; i < n; i++) {
        w.pre.push_back(logistic(c.scale[0] * mix[i] + c.base[i]) + kMixEpsilon);
        w.post.push_back(2.0 * logistic(c.scale[1] * mix[n + i] + c.base[n + i]));
    }
    w.comb.resize(n * n);
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t k = 0; k < n; k++) {
            const size_t at = 2 * n + j * n + k;
            sum += w.comb[j * n + k] = std::exp(c.scale[2] * mix[at] + c.base[at]);
        }
        for (size_t k = 0; k < n; k++) w.comb[j * n + k] = w.comb[j * n + k] / sum + kMixEpsilon;
    }
    const auto divide = [&](size_t line, size_t step) {
        for (size_t l = 0; l < n; l++) {
            double sum = kMixEpsilon;
            for (size_t i = 0; i < n; i++) sum += w.comb[l * line + i * step];
            for (size_t i = 0; i < n; i++) w.comb[l * line + i * step] /= sum;
        }
    };
    for (int turn = 0; turn < kTurns; turn++) {
        if (turn > 0) divide(n, 1);
        divide(1, n);
    }
    return w;
}

device::Memory upload(const std::vector<float> &values, device::Stream &stream) {
    device::Memory memory(values.size() * 4);
    stream.to_device(memory.data(), values.data(), memory.bytes());
    return memory;
}
std::vector<float> download(const device::Memory &memory, device::Stream &stream) {
    std::vector<float> values(memory.bytes() / 4);
    stream.to_host(values.data(), memory.data(), memory.bytes());
    stream.wait();
    return values;
}

struct Collapsed {
    std::vector<float> x, post, comb;
    bool operator==(const Collapsed &) const = default;
};

// Rows first.. of the case as a step of their own.
Collapsed collapse(const Case &c, int first, int rows) {
    device::Stream stream;
    const device::Memory state = upload(c.state, stream), fn = upload(c.fn, stream),
                         base = upload(c.base, stream), scale = upload(c.scale, stream),
                         norm = upload(c.norm, stream);
    const size_t n = size_t(c.streams), count = size_t(rows);
    device::Memory scratch(size_t(kernels::collapse_scratch(rows, c.streams, c.hidden)) * 4),
        x(count * size_t(c.hidden) * 4), post(count * n * 4), comb(count * n * n * 4);
    stream.fill(scratch.data(), 0xff, scratch.bytes());
    kernels::collapse_streams(
        {state.as<float>() + int64_t(first) * c.width(), fn.as<float>(), base.as<float>(),
         scale.as<float>(), norm.as<float>(), rows, c.streams, c.hidden, kTurns, kNormEpsilon,
         kMixEpsilon, scratch.as<float>(), x.as<float>(), post.as<float>(), comb.as<float>()},
        stream);
    return {download(x, stream), download(post, stream), download(comb, stream)};
}

void check_collapse(const Case &c, const Collapsed &got, int rows) {
    const size_t n = size_t(c.streams), hidden = size_t(c.hidden);
    for (size_t row = 0; row < size_t(rows); row++) {
        const float *v = c.state.data() + row * n * hidden;
        const Weights w = exact_weights(c, v);
        std::vector<double> x(hidden, 0.0);
        double squares = 0;
        for (size_t d = 0; d < hidden; d++) {
            for (size_t j = 0; j < n; j++) x[d] += w.pre[j] * v[j * hidden + d];
            squares += x[d] * x[d];
        }
        const double rms = 1.0 / std::sqrt(squares / double(hidden) + kNormEpsilon);
        for (size_t d = 0; d < hidden; d++)
            CHECK_CLOSE(got.x[row * hidden + d], x[d] * rms * c.norm[d], 2e-5);
        for (size_t i = 0; i < n; i++) CHECK_CLOSE(got.post[row * n + i], w.post[i], 4e-6);
        for (size_t i = 0; i < n * n; i++) CHECK_CLOSE(got.comb[row * n * n + i], w.comb[i], 4e-6);
    }
}

TEST("collapsed streams, post and comb are those of the formulas, over streams, widths and sizes") {
    for (const auto &[rows, streams, hidden, size] : {std::tuple{1, 4, 4096, 1.0f},
                                                      {2, 4, 512, 1e-4f},
                                                      {9, 4, 132, 1e4f},
                                                      {3, 1, 32, 1.0f},
                                                      {2, 3, 36, 1.0f},
                                                      {1, 16, 160, 1e-15f},
                                                      {1, 16, 1536, 1.0f},
                                                      {17, 4, 124, 1e15f}}) {
        const Case c = make_case(rows, streams, hidden, size, unsigned(rows * hidden));
        for (int order = 0; order < 2; order++) check_collapse(c, collapse(c, 0, rows), rows);
    }
}

TEST("a row's collapse has the same bits alone and among many rows") {
    const Case c = make_case(139, 4, 160, 1.0f, 3);
    const Collapsed all = collapse(c, 0, 139);
    check_collapse(c, all, 139);
    const auto part = [](const std::vector<float> &values, int first, int rows, size_t width) {
        return std::vector<float>(values.begin() + std::ptrdiff_t(size_t(first) * width),
                                  values.begin() + std::ptrdiff_t(size_t(first + rows) * width));
    };
    for (const auto &[first, rows] :
         {std::pair{0, 1}, {138, 1}, {127, 3}, {50, 8}, {3, 9}, {1, 137}})
        CHECK((collapse(c, first, rows) == Collapsed{part(all.x, first, rows, 160),
                                                     part(all.post, first, rows, 4),
                                                     part(all.comb, first, rows, 16)}));
}

TEST("streams take up a sublayer's output by post and comb") {
    for (const auto &[rows, streams, hidden] :
         {std::tuple{1, 4, 4096}, {5, 4, 36}, {0, 4, 64}, {2, 7, 132}, {1, 16, 128}, {1, 1, 127}}) {
        const Case c = make_case(rows, streams, hidden, 3.0f, 8);
        const size_t n = size_t(streams), width = size_t(hidden);
        std::vector<float> post(size_t(rows) * n), comb(size_t(rows) * n * n);
        std::mt19937 random(4);
        for (float &value : post) value = float(random() % 1000) * 0.002f;
        for (float &value : comb) value = float(random() % 1000) * 0.001f;
        for (int order = 0; order < 2; order++) {
            device::Stream stream;
            const device::Memory y = upload(c.y, stream), post_memory = upload(post, stream),
                                 comb_memory = upload(comb, stream),
                                 state = upload(c.state, stream);
            kernels::expand_streams({y.as<float>(), post_memory.as<float>(),
                                     comb_memory.as<float>(), rows, streams, hidden,
                                     state.as<float>()},
                                    stream);
            const std::vector<float> out = download(state, stream);
            for (size_t row = 0; row < size_t(rows); row++)
                for (size_t k = 0; k < n; k++)
                    for (size_t d = 0; d < width; d++) {
                        double sum = double(post[row * n + k]) * c.y[row * width + d];
                        for (size_t j = 0; j < n; j++)
                            sum += double(comb[(row * n + j) * n + k]) *
                                   c.state[(row * n + j) * width + d];
                        CHECK_CLOSE(out[(row * n + k) * width + d], sum, 2e-5);
                    }
        }
    }
}

// The head's fn has only the rows of pre.
std::pair<std::vector<float>, std::vector<float>>
collapse_head(const Case &c, const std::vector<int32_t> &rows, bool in_place) {
    device::Stream stream;
    const device::Memory state = upload(c.state, stream), fn = upload(c.fn, stream),
                         base = upload(c.base, stream), scale = upload(c.scale, stream),
                         norm = upload(c.norm, stream);
    const int32_t count = int32_t(rows.size());
    device::Memory indices(rows.size() * 4),
        scratch(size_t(kernels::collapse_scratch(count, c.streams, c.hidden)) * 4),
        x(rows.size() * size_t(c.hidden) * 4), collapsed(x.bytes());
    stream.to_device(indices.data(), rows.data(), indices.bytes());
    stream.fill(x.data(), 0xff, x.bytes());
    kernels::collapse_head({state.as<float>(), indices.as<int32_t>(), fn.as<float>(),
                            base.as<float>(), scale.as<float>(), norm.as<float>(), count, c.streams,
                            c.hidden, kNormEpsilon, kMixEpsilon, scratch.as<float>(),
                            in_place ? x.as<float>() : collapsed.as<float>(), x.as<float>()},
                           stream);
    return {download(collapsed, stream), download(x, stream)};
}

TEST("the head's rows are collapsed and normed, and negative rows are skipped") {
    const Case c = make_case(11, 4, 260, 1.0f, 21);
    const std::vector<int32_t> rows = {10, 0, -1, 3, 3, 7, 1, 2, 4, 5};
    for (const bool in_place : {false, true}) {
        const auto [collapsed, x] = collapse_head(c, rows, in_place);
        for (size_t r = 0; r < rows.size(); r++) {
            if (rows[r] < 0) {
                CHECK(std::isnan(x[r * 260]));
                continue;
            }
            const float *v = c.state.data() + rows[r] * c.width();
            const Weights w = exact_weights(c, v);
            std::vector<double> sums(260, 0.0);
            double squares = 0;
            for (size_t d = 0; d < 260; d++) {
                for (size_t j = 0; j < 4; j++) sums[d] += w.pre[j] * v[j * 260 + d];
                squares += sums[d] * sums[d];
            }
            const double rms = 1.0 / std::sqrt(squares / 260.0 + kNormEpsilon);
            for (size_t d = 0; d < 260; d++) {
                if (!in_place) CHECK_CLOSE(collapsed[r * 260 + d], sums[d], 1e-5);
                CHECK_CLOSE(x[r * 260 + d], sums[d] * rms * c.norm[d], 2e-5);
            }
        }
        const auto alone = collapse_head(c, {7}, in_place).second;
        CHECK(std::equal(alone.begin(), alone.end(), x.begin() + 5 * 260));
    }
}

TEST("no rows launch nothing, and 17 streams are refused") {
    device::Stream stream;
    kernels::CollapseParams params{};
    params.stream_count = 4, params.hidden = 64;
    kernels::collapse_streams(params, stream);
    kernels::CollapseHeadParams head{};
    head.stream_count = 4, head.hidden = 64;
    kernels::collapse_head(head, stream);
    int32_t status = DS4_OK;
    try {
        params.stream_count = 17;
        kernels::collapse_streams(params, stream);
    } catch (const Error &error) {
        status = error.status();
    }
    CHECK(status == DS4_ERR_ARGUMENT);
}

} // namespace
