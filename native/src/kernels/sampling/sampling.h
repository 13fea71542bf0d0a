// The choice of tokens on the device: the same tokens and log-probabilities as Sampler
// (sampling/sampler.h) for the same logits and control records.
#pragma once
#include <cstdint>

#include "device/device.h"
#include "ds4.h"
#include "sampling/control.h"

namespace ds4::kernels {

// A control record in device memory.
struct SamplingRecord {
    int32_t row = -1; // of the logits; -1: no token is wanted
    int32_t forced = -1;
    uint32_t is_greedy = 1, logprobs = 0;
    float uniform = 0, temperature = 0, top_p = 1, min_p = 0;
    uint32_t top_k = 0, top_logprobs = 0;
    const uint32_t *mask = nullptr; // device memory [ceil(vocab / 32)], or null
};
// mask: control.mask in device memory.
SamplingRecord sampling_record(const SamplingControl &control, int32_t row, const uint32_t *mask);

struct SampledToken {
    ds4_job_token token; // id -1: none was wanted, or status tells why there is none
    int32_t status;      // DS4_OK. DS4_ERR_INTERNAL: no allowed logit is a finite number.
                         // DS4_ERR_ARGUMENT: the forced id lies outside the row.
};

struct SampleParams {
    const SamplingRecord *records; // [count], device memory
    int32_t count, vocab;
    const float *logits; // [rows, vocab]
    uint8_t *scratch;    // sample_scratch() bytes, at a multiple of 16
    SampledToken *out;   // [count]
    int32_t *ids;        // out [count]: the tokens' ids again, for the next step; may be null
};
int64_t sample_scratch(int32_t count, int32_t vocab);
void sample(const SampleParams &params, device::Stream &stream);

} // namespace ds4::kernels
