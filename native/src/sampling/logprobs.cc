#include "sampling/logprobs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "sampling/control.h"

namespace ds4 {

void write_logprobs(std::span<const float> logits, int32_t chosen, uint32_t top_count,
                    RowBlocks &blocks, ds4_job_token &out) {
    const int64_t vocab = int64_t(logits.size());
    std::vector<float> highest;
    blocks.values(vocab, highest, [&](int64_t begin, int64_t end) {
        return weight_kernels().range(logits.data() + begin, end - begin).largest;
    });
    const double largest = double(*std::max_element(highest.begin(), highest.end()));
    std::vector<double> sums;
    blocks.values(vocab, sums, [&](int64_t begin, int64_t end) {
        double sum = 0.0;
        for (int64_t id = begin; id < end; id++)
            if (const float logit = logits[size_t(id)]; std::isfinite(logit))
                sum += std::exp(double(logit) - largest);
        return sum;
    });
    double sum = 0.0;
    for (const double part : sums) sum += part;
    const double log_sum = largest + std::log(sum);
    out.logprob = float(double(logits[size_t(chosen)]) - log_sum);

    // Inserts into a short sorted list: almost every logit fails the first comparison.
    std::array<int32_t, kMaxTopLogprobs> best;
    const uint32_t wanted = std::min(top_count, kMaxTopLogprobs);
    uint32_t count = 0;
    for (size_t id = 0; id < logits.size() && wanted > 0; id++) {
        if (count == wanted && id % kWeightBlock == 0 &&
            !(highest[id / kWeightBlock] > logits[size_t(best[count - 1])])) {
            id += kWeightBlock - 1; // nothing in this block ranks
            continue;
        }
        const float logit = logits[id];
        if (!std::isfinite(logit) ||
            (count == wanted && !(logit > logits[size_t(best[count - 1])])))
            continue;
        uint32_t place = count < wanted ? count++ : count - 1;
        for (; place > 0 && logit > logits[size_t(best[place - 1])]; place--)
            best[place] = best[place - 1];
        best[place] = int32_t(id);
    }
    out.top_count = count;
    for (uint32_t i = 0; i < count; i++) {
        out.top_ids[i] = best[i];
        out.top_logprobs[i] = float(double(logits[size_t(best[i])]) - log_sum);
    }
}

} // namespace ds4
