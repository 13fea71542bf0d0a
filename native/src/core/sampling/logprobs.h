// Log-probabilities for clients: log-softmax of the raw logits, before temperature and filters.
#pragma once
#include <cstdint>
#include <span>

#include "ds4.h"

namespace ds4 {

constexpr uint32_t kMaxTopLogprobs = 20;

// Fills out for the chosen token and its top_count (<= kMaxTopLogprobs) alternatives, the likeliest
// first, the lower id on a tie. The chosen token is among them if it ranks there. Sums are in
// double.
void write_logprobs(std::span<const float> logits, int32_t chosen, uint32_t top_count,
                    ds4_job_token &out);

} // namespace ds4
