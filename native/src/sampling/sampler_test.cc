#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/test.h"
#include "ds4.h"
#include "sampling/weight.h"

using namespace ds4;

namespace {

// The definition by a full sort, with weights of its own: exp in double, in fixed point.
int32_t plain_draw(const std::vector<float> &logits, const SamplingControl &control) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < logits.size(); i++)
        if (std::isfinite(logits[i]) && control.allows(int64_t(i))) ids.push_back(int32_t(i));
    const int32_t best = *std::max_element(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
        return logits[size_t(a)] < logits[size_t(b)];
    });
    if (control.greedy || control.temperature <= 0) return best;
    const auto weight = [&](int32_t id) {
        return exp_minus((logits[size_t(best)] - logits[size_t(id)]) / control.temperature);
    };
    std::vector<int32_t> kept;
    if (control.top_k == 0 && control.top_p == 1.0f) {
        for (const int32_t id : ids)
            if (!(weight(id) < control.min_p)) kept.push_back(id);
    } else {
        std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
            return logits[size_t(a)] > logits[size_t(b)];
        });
        if (control.top_k > 0)
            ids.resize(std::min<size_t>(ids.size(), std::min(control.top_k, kMaxTopK)));
        uint64_t total = 0, nucleus = 0;
        for (const int32_t id : ids) total += fixed_weight(weight(id));
        const uint64_t wanted = uint64_t(std::ceil(double(control.top_p) * double(total)));
        for (const int32_t id : ids) {
            if (weight(id) < control.min_p) break;
            kept.push_back(id);
            nucleus += fixed_weight(weight(id));
            if (nucleus >= wanted) break;
        }
    }
    if (kept.empty()) return best;
    unsigned __int128 sum = 0;
    for (const int32_t id : kept) sum += fixed_weight(weight(id));
    uint64_t rest = uint64_t((sum * uint64_t(control.uniform * 0x1p24f)) >> 24);
    for (const int32_t id : kept) {
        if (rest < fixed_weight(weight(id))) return id;
        rest -= fixed_weight(weight(id));
    }
    return -1;
}

SamplingControl record_of(float temperature, float top_p, float min_p, uint32_t top_k,
                          float uniform) {
    SamplingControl control;
    control.greedy = false;
    control.temperature = temperature, control.top_p = top_p, control.min_p = min_p,
    control.top_k = top_k, control.uniform = uniform;
    return control;
}

float uniform_of(std::mt19937 &random) { return float(random() >> 8) * 0x1p-24f; }

std::vector<float> normal_row(std::mt19937 &random, size_t size, float spread) {
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> logits(size);
    for (float &logit : logits)
        logit = random() % 50 == 0 ? -std::numeric_limits<float>::infinity() : normal(random);
    if (!std::isfinite(logits[0])) logits[0] = 0.0f;
    return logits;
}

} // namespace

TEST("the sampler equals a plain full sort, draw for draw, over random settings, logits and "
     "masks") {
    std::mt19937 random(7);
    const float temperatures[] = {0.1f, 0.6f, 1.0f, 1.7f, 8.0f, 100.0f},
                tops[] = {0.1f, 0.8f, 0.95f, 0.9999999f, 1.0f},
                mins[] = {0.0f, 0.0f, 0.0002f, 0.05f, 0.5f, 1.0f},
                spreads[] = {0.01f, 1.0f, 4.0f, 40.0f};
    const uint32_t ks[] = {0, 0, 0, 1, 40, 5000}, sizes[] = {1, 2, 17, 300, 5003};
    size_t wrong = 0;
    ThreadPool pool(3);
    Sampler alone, together(&pool);
    for (int round = 0; round < 3000; round++) {
        const std::vector<float> logits =
            normal_row(random, sizes[random() % 5], spreads[random() % 4]);
        std::vector<uint32_t> mask(logits.size() / 32 + 1, 0);
        for (uint32_t &word : mask) word = uint32_t(random()) | 1u;
        SamplingControl control =
            record_of(temperatures[random() % 6], tops[random() % 5], mins[random() % 6],
                      ks[random() % 6], uniform_of(random));
        if (random() % 3 == 0) control.mask = mask.data();
        const int32_t expected = plain_draw(logits, control);
        wrong += alone.sample(logits, control).id == expected ? 0 : 1;
        wrong += together.sample(logits, control).id == expected ? 0 : 1;
    }
    CHECK(wrong == 0);
}

TEST("rows of the model's size with a long tail: narrow and wide nuclei, any number of threads") {
    std::mt19937 random(11);
    ThreadPool pool(4);
    Sampler alone, together(&pool);
    for (const float spread : {0.3f, 2.5f, 4.0f}) {
        const std::vector<float> logits = normal_row(random, 129280, spread);
        for (const auto &[temperature, top_p, min_p, top_k] : {std::tuple{1.0f, 0.95f, 0.0f, 0u},
                                                               {1.0f, 1.0f, 0.05f, 0u},
                                                               {0.7f, 0.9f, 0.0f, 50u},
                                                               {3.0f, 0.999f, 0.0f, 0u},
                                                               {1.0f, 0.9f, 0.00001f, 0u},
                                                               {1.0f, 1.0f, 0.0f, 0u}})
            for (const float uniform : {0.0f, 0.3f, 0x1.fffffep-1f}) {
                const SamplingControl control =
                    record_of(temperature, top_p, min_p, top_k, uniform);
                const int32_t expected = plain_draw(logits, control);
                CHECK(alone.sample(logits, control).id == expected);
                CHECK(together.sample(logits, control).id == expected);
            }
    }
}

TEST("rows whose weights crowd into few buckets: equals, one high logit over a flat row, a mask") {
    std::mt19937 random(13);
    ThreadPool pool(3);
    Sampler alone, together(&pool);
    const size_t size = 40'000;
    std::vector<std::vector<float>> rows(4, std::vector<float>(size, -2.5f));
    rows[1] = normal_row(random, size, 1e-5f); // many equals, and a lone one high above
    rows[1][777] = 9.0f;
    rows[2] = normal_row(random, size, 3.0f);
    rows[3] = normal_row(random, size, 1e-7f);
    std::vector<uint32_t> few(size / 32 + 1, 0);
    for (size_t word = 0; word < few.size(); word += 9) few[word] = uint32_t(random());
    for (const std::vector<float> &row : rows)
        for (const bool is_masked : {false, true})
            for (const auto &[temperature, top_p, min_p, top_k] :
                 {std::tuple{1.0f, 0.95f, 0.0f, 0u},
                  {1.0f, 0.3f, 1e-4f, 0u},
                  {60.0f, 0.99f, 0.9f, 0u},
                  {0.01f, 0.9f, 0.0f, 0u},
                  {2.0f, 0.9f, 0.0f, 20u},
                  {2.0f, 0.9f, 0.0f, 900u}})
                for (const float uniform : {0.0f, 0.37f, 0x1.fffffep-1f}) {
                    SamplingControl control = record_of(temperature, top_p, min_p, top_k, uniform);
                    if (is_masked) control.mask = few.data();
                    const int32_t expected = plain_draw(row, control);
                    CHECK(alone.sample(row, control).id == expected);
                    CHECK(together.sample(row, control).id == expected);
                }
}

TEST("shares of drawn tokens are those of the softmax") {
    const std::vector<float> logits = {0.0f, 1.0f, 2.0f, -1.0f, 2.0f};
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double(logit) / 0.8);
    Sampler sampler;
    std::vector<double> share(logits.size(), 0.0);
    constexpr int kDraws = 1 << 14;
    for (int i = 0; i < kDraws; i++) // evenly spread draws: no statistics needed
        share[size_t(
            sampler.sample(logits, record_of(0.8f, 1.0f, 0.0f, 0, float(i) / kDraws)).id)] +=
            1.0 / kDraws;
    for (size_t id = 0; id < logits.size(); id++)
        CHECK_CLOSE(share[id], std::exp(double(logits[id]) / 0.8) / sum, 2.0 / kDraws);
}

TEST("a greedy record takes the lowest id of equals, a forced one its token, a mask its bits") {
    const std::vector<float> logits = {1.0f, 3.0f, 3.0f, std::numeric_limits<float>::quiet_NaN()};
    Sampler sampler;
    SamplingControl control;
    CHECK(sampler.sample(logits, control).id == 1);
    const uint32_t mask = 0b1101;
    control.mask = &mask;
    CHECK(sampler.sample(logits, control).id == 2);
    control.forced = 0;
    control.logprobs = true;
    const ds4_job_token token = sampler.sample(logits, control);
    CHECK(token.id == 0);
    CHECK_CLOSE(token.logprob, 1.0 - std::log(std::exp(1.0) + 2 * std::exp(3.0)), 2.2e-7);
}

TEST("rows without an allowed finite logit and forced ids outside the row are refused") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const auto status_of = [](const std::vector<float> &logits,
                              const SamplingControl &control) -> int32_t {
        try {
            Sampler().sample(logits, control);
        } catch (const Error &error) {
            return error.status();
        }
        return DS4_OK;
    };
    CHECK(status_of({nan, nan}, {}) == DS4_ERR_INTERNAL);
    const uint32_t nothing = 0;
    SamplingControl control;
    control.mask = &nothing;
    CHECK(status_of({1.0f, 2.0f}, control) == DS4_ERR_INTERNAL);
    SamplingControl forced;
    forced.forced = 2;
    CHECK(status_of({1.0f, 2.0f}, forced) == DS4_ERR_ARGUMENT);
}

TEST("min_p above 1 leaves nothing and falls back to the largest logit") {
    const std::vector<float> logits = {0.0f, 2.0f, 1.0f};
    Sampler sampler;
    CHECK(sampler.sample(logits, record_of(1.0f, 1.0f, 2.0f, 0, 0.0f)).id == 1);
    CHECK(sampler.sample(logits, record_of(1.0f, 0.5f, 2.0f, 0, 0.0f)).id == 1);
}

TEST("a draw at the very border of two tokens takes the later one") {
    const std::vector<float> logits{1.5f, 1.5f, 1.5f, 1.5f};
    Sampler sampler;
    for (const int32_t id : {0, 1, 2, 3}) {
        SamplingControl control;
        control.greedy = false, control.temperature = 1.0f;
        control.uniform = 0.25f * float(id); // the weights before it, exactly
        CHECK(sampler.sample(logits, control).id == id);
        control.uniform += 0x1.fffff8p-3f; // the last one before the next border
        CHECK(sampler.sample(logits, control).id == id);
    }
}
