// The time of choosing a token from one row of logits.
#pragma once
#include <cstdint>

namespace ds4::bench {

// Prints a line for each kind of sampling, with one thread and with `threads`: medians of 200 rows
// of `vocab` normal logits of spread 3.
void measure_sampling(uint32_t vocab, int threads, bool json);

} // namespace ds4::bench
