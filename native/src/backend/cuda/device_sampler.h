// Samples tokens of a step on the GPU: control records go there, tokens come back. The logits
// themselves stay.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "device/device.h"
#include "kernels/sampling/sampling.h"
#include "sampling/control.h"

namespace ds4::cuda {

class DeviceSampler {
  public:
    // logits: device, [rows, vocab]; rows: of each record. Waits for the tokens. Throws
    // Error(DS4_ERR_INTERNAL) if a row has no allowed finite logit, and Error(DS4_ERR_ARGUMENT) for
    // a forced id outside the vocabulary.
    void sample(const float *logits, int32_t vocab, std::span<const int32_t> rows,
                std::span<const SamplingControl> controls, std::span<ds4_job_token> out,
                device::Stream &stream);

  private:
    void upload(int32_t vocab, std::span<const int32_t> rows,
                std::span<const SamplingControl> controls, device::Stream &stream);

    device::Memory records_, masks_, scratch_, results_;
    std::vector<kernels::SamplingRecord> host_records_;
    std::vector<kernels::SampledToken> host_results_;
};

} // namespace ds4::cuda
