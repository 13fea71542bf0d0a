// The control record of one sampled token. Core fills it while the forward pass runs; a backend
// reads it when the logits are there. It holds everything that the choice of the token needs.
#pragma once
#include <cstdint>
#include <span>

namespace ds4 {

struct SamplingControl {
    bool samples = true;            // false: the caller wants no token of this row after all
    bool greedy = true;             // takes the largest allowed logit, without `uniform`
    float uniform = 0.0f;           // in [0, 1), a multiple of 2^-24
    float temperature = 0;          // <= 0: greedy
    float top_p = 1.0f;             // in (0, 1]
    float min_p = 0.0f;             // >= 0
    uint32_t top_k = 0;             // 0: off
    int32_t forced = -1;            // >= 0: this token, whatever the logits are
    const uint32_t *mask = nullptr; // null, or [ceil(vocab / 32)]: bit set means allowed
    bool logprobs = false;
    uint32_t top_logprobs = 0; // <= kMaxTopLogprobs

    bool allows(int64_t id) const {
        return mask == nullptr || (mask[id / 32] >> (id % 32) & 1u) != 0;
    }
};

constexpr uint32_t kMaxTopK = 1024;
constexpr uint32_t kMaxTopLogprobs = 20;

} // namespace ds4
