#include "core/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4;

// The definition with a full sort and no shortcut. The sampler must equal it draw for draw.
static int32_t plain_draw(const std::vector<float> &logits, const ds4_sampling &settings,
                          Rng &rng) {
    const float top_p = settings.top_p > 0 && settings.top_p <= 1 ? settings.top_p : 1.0f;
    const float min_p = std::max(settings.min_p, 0.0f);
    std::vector<int32_t> ids;
    for (size_t i = 0; i < logits.size(); i++)
        if (std::isfinite(logits[i])) ids.push_back(int32_t(i));
    const int32_t best = *std::max_element(ids.begin(), ids.end(),
                                           [&](int a, int b) { return logits[a] < logits[b]; });
    if (settings.temperature <= 0) return best;
    const auto weight = [&](int32_t id) {
        return std::exp((logits[id] - logits[best]) / settings.temperature);
    };

    std::vector<int32_t> kept;
    if (settings.top_k == 0 && top_p == 1.0f) {
        for (const int32_t id : ids)
            if (!(weight(id) < min_p)) kept.push_back(id);
    } else {
        std::stable_sort(ids.begin(), ids.end(),
                         [&](int a, int b) { return logits[a] > logits[b]; });
        if (settings.top_k > 0)
            ids.resize(std::min<size_t>(ids.size(), std::min(settings.top_k, 1024u)));
        float sum = 0, nucleus = 0;
        for (const int32_t id : ids) sum += weight(id);
        for (const int32_t id : ids) {
            if (weight(id) / sum < min_p * (weight(ids[0]) / sum)) break;
            kept.push_back(id);
            nucleus += weight(id) / sum;
            if (nucleus >= top_p) break;
        }
    }
    float sum = 0;
    for (const int32_t id : kept) sum += weight(id);
    float rest = rng.next().uniform * sum;
    for (const int32_t id : kept) {
        rest -= weight(id);
        if (rest <= 0) return id;
    }
    return kept.back();
}

static ds4_sampling settings_of(float temperature, float top_p, float min_p, uint32_t top_k,
                                uint64_t seed) {
    return {sizeof(ds4_sampling), temperature, top_p, min_p, top_k, 0, seed};
}

TEST("the sampler equals a plain full sort, draw for draw, over random settings and logits") {
    std::mt19937 random(7);
    const float temperatures[] = {0.1f, 0.6f, 1.0f, 1.7f, 8.0f},
                tops[] = {0.1f, 0.8f, 0.95f, 0.9999999f, 1.0f};
    const float mins[] = {0.0f, 0.01f, 0.05f, 0.5f}, spreads[] = {0.01f, 1.0f, 4.0f, 40.0f};
    const uint32_t ks[] = {0, 0, 1, 7, 40, 5000}, sizes[] = {1, 2, 17, 300, 5003};
    size_t wrong = 0;
    for (int round = 0; round < 600; round++) {
        const ds4_sampling settings = settings_of(temperatures[random() % 5], tops[random() % 5],
                                                  mins[random() % 4], ks[random() % 6], random());
        std::normal_distribution<float> normal(0.0f, spreads[random() % 4]);
        std::vector<float> logits(sizes[random() % 5]);
        for (float &logit : logits)
            logit = random() % 50 == 0 ? -std::numeric_limits<float>::infinity() : normal(random);
        logits[0] = std::isfinite(logits[0]) ? logits[0] : 0.0f;
        Sampler sampler(settings);
        Rng rng(settings.seed);
        for (int draw = 0; draw < 6; draw++)
            wrong += sampler.draw(logits, false) == plain_draw(logits, settings, rng) ? 0 : 1;
    }
    CHECK(wrong == 0);
}

TEST("the sampler equals a plain full sort on a vocabulary of the model's size, with a long tail") {
    std::mt19937 random(11);
    std::normal_distribution<float> normal(0.0f, 2.5f);
    std::vector<float> logits(129280);
    for (float &logit : logits) logit = normal(random);
    for (const auto &settings :
         {settings_of(1.0f, 0.95f, 0.0f, 0, 3), settings_of(1.0f, 1.0f, 0.05f, 0, 4),
          settings_of(0.7f, 0.9f, 0.0f, 50, 5), settings_of(3.0f, 0.999f, 0.0f, 0, 6)}) {
        Sampler sampler(settings);
        Rng rng(settings.seed);
        for (int draw = 0; draw < 4; draw++)
            CHECK(sampler.draw(logits, false) == plain_draw(logits, settings, rng));
    }
}

TEST("a greedy draw takes the lowest id of equals and does not move the generator") {
    const std::vector<float> logits = {1.0f, 3.0f, 3.0f, std::numeric_limits<float>::quiet_NaN()};
    Sampler drawn(settings_of(1.0f, 1.0f, 0.0f, 0, 9)), fresh(settings_of(1.0f, 1.0f, 0.0f, 0, 9));
    for (int i = 0; i < 5; i++) CHECK(drawn.draw(logits, true) == 1);
    CHECK(drawn.rng().next().state == fresh.rng().next().state);
}

TEST("logits without a finite value and settings that are not numbers are refused") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    int refused = 0;
    try {
        Sampler(settings_of(1, 1, 0, 0, 1)).draw(std::vector<float>{nan, nan}, false);
    } catch (const Error &error) {
        refused += error.status() == DS4_ERR_INTERNAL;
    }
    try {
        Sampler{settings_of(nan, 1, 0, 0, 1)};
    } catch (const Error &error) {
        refused += error.status() == DS4_ERR_ARGUMENT;
    }
    CHECK(refused == 2);
}

TEST("min_p above 1 leaves nothing and falls back to the largest logit") {
    const std::vector<float> logits = {0.0f, 2.0f, 1.0f};
    CHECK(Sampler(settings_of(1.0f, 1.0f, 2.0f, 0, 1)).draw(logits, false) == 1);
    CHECK(Sampler(settings_of(1.0f, 0.5f, 2.0f, 0, 1)).draw(logits, false) == 1);
}
