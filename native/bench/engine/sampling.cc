#include "engine/sampling.h"

#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "engine/median.h"
#include "sampling/sampler.h"

namespace ds4::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Kind {
    const char *name;
    float temperature, top_p, min_p;
    uint32_t top_k;
    bool logprobs;
};

double median_us(Sampler &sampler, const std::vector<std::vector<float>> &rows, const Kind &kind) {
    SamplingControl control;
    control.greedy = kind.temperature == 0;
    control.temperature = kind.temperature, control.top_p = kind.top_p;
    control.min_p = kind.min_p, control.top_k = kind.top_k;
    control.logprobs = kind.logprobs, control.top_logprobs = kind.logprobs ? 20 : 0;
    std::vector<double> times;
    for (int i = 0; i < 200; i++) {
        control.uniform = float(i) / 200;
        const Clock::time_point begin = Clock::now();
        sampler.sample(rows[size_t(i) % rows.size()], control);
        times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    return median(times);
}

} // namespace

void measure_sampling(uint32_t vocab, int threads, bool json) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0f, 3.0f);
    std::vector<std::vector<float>> rows(8, std::vector<float>(vocab));
    for (auto &row : rows)
        for (float &logit : row) logit = normal(random);
    ThreadPool pool(threads);
    Sampler alone, together(&pool);
    for (const Kind &kind : {Kind{"greedy", 0, 1, 0, 0, false},
                             {"temperature 1", 1, 1, 0, 0, false},
                             {"min-p 0.05", 1, 1, 0.05f, 0, false},
                             {"top-p 0.95", 1, 0.95f, 0, 0, false},
                             {"top-p 0.95, T 0.6", 0.6f, 0.95f, 0, 0, false},
                             {"top-p 0.95, T 100", 100, 0.95f, 0, 0, false},
                             {"top-k 40", 1, 1, 0, 40, false},
                             {"20 logprobs", 0, 1, 0, 0, true}}) {
        const double one = median_us(alone, rows, kind), many = median_us(together, rows, kind);
        if (json)
            std::printf("{\"suite\":\"sampler\",\"kind\":\"%s\",\"threads\":%d,\"one_us\":%.1f,"
                        "\"all_us\":%.1f}\n",
                        kind.name, threads, one, many);
        else
            std::printf("sampler  %-18s %8.1f us on one thread %8.1f us on %d\n", kind.name, one,
                        many, threads);
    }
    std::fflush(stdout);
}

} // namespace ds4::bench
