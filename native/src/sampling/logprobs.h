// Log-probabilities for clients: log-softmax of the raw logits, before temperature, filters and
// mask.
#pragma once
#include <cstdint>
#include <span>

#include "ds4.h"
#include "sampling/row_blocks.h"

namespace ds4 {

// Fills out for the chosen token and its top_count (<= kMaxTopLogprobs) alternatives, the likeliest
// first, the lower id on a tie. The chosen token is among them if it ranks there. Sums are in
// double: of each block of ids in order, then of the blocks in order, whatever the threads are.
void write_logprobs(std::span<const float> logits, int32_t chosen, uint32_t top_count,
                    RowBlocks &blocks, ds4_job_token &out);

} // namespace ds4
