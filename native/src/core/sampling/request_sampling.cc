#include "core/sampling/request_sampling.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace ds4 {

RequestSampling::RequestSampling(const ds4_sampling &settings)
    : rng_(settings.seed), before_(rng_) {
    if (std::isnan(settings.temperature) || std::isnan(settings.top_p) ||
        std::isnan(settings.min_p))
        fail(DS4_ERR_ARGUMENT,
             "a sampling setting is not a number: temperature %g, top_p %g, min_p %g",
             double(settings.temperature), double(settings.top_p), double(settings.min_p));
    settings_.temperature = settings.temperature;
    settings_.top_p = settings.top_p > 0.0f && settings.top_p <= 1.0f ? settings.top_p : 1.0f;
    settings_.min_p = std::max(settings.min_p, 0.0f);
    settings_.top_k = std::min(settings.top_k, kMaxTopK);
}

SamplingControl RequestSampling::next(bool greedy) {
    before_ = rng_;
    SamplingControl record = settings_;
    record.greedy = greedy || settings_.temperature <= 0.0f;
    if (!record.greedy) record.uniform = rng_.next().uniform;
    return record;
}

} // namespace ds4
