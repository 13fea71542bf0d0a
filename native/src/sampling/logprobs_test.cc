#include "sampling/logprobs.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/test.h"
#include "ds4.h"

using namespace ds4;

TEST("logprobs are the log-softmax of the raw logits, the likeliest first, lower ids first on a "
     "tie") {
    const std::vector<float> logits = {1.0f, 3.0f, -std::numeric_limits<float>::infinity(), 3.0f,
                                       2.0f};
    const double log_sum = std::log(std::exp(1.0) + 2 * std::exp(3.0) + std::exp(2.0));
    ds4_job_token token = {};
    RowBlocks blocks;
    write_logprobs(logits, 0, 3, blocks, token);
    CHECK_CLOSE(token.logprob, 1.0 - log_sum, 5e-7);
    CHECK(token.top_count == 3);
    CHECK(token.top_ids[0] == 1 && token.top_ids[1] == 3 && token.top_ids[2] == 4);
    CHECK_CLOSE(token.top_logprobs[2], 2.0 - log_sum, 5e-7);
}

TEST("more alternatives than finite logits gives the finite ones, and large logits do not "
     "overflow") {
    const std::vector<float> logits = {3e38f, -3e38f, -std::numeric_limits<float>::infinity()};
    ds4_job_token token = {};
    RowBlocks blocks;
    write_logprobs(logits, 0, 20, blocks, token);
    CHECK(token.top_count == 2);
    CHECK_CLOSE(token.logprob, 0.0, 5e-7);
}
