#include "backend/cuda/device_sampler.h"

#include "base/fail.h"
#include "ds4.h"

namespace ds4::cuda {
namespace {

void grow(device::Memory &memory, uint64_t bytes) {
    if (memory.bytes() < bytes) memory = device::Memory(bytes);
}

} // namespace

void DeviceSampler::upload(int32_t vocab, std::span<const int32_t> rows,
                           std::span<const SamplingControl> controls, device::Stream &stream) {
    const uint64_t words = (uint64_t(vocab) + 31) / 32;
    uint64_t masked = 0;
    for (const SamplingControl &control : controls) masked += control.mask == nullptr ? 0 : 1;
    grow(masks_, masked * words * sizeof(uint32_t));
    host_records_.clear();
    uint32_t *mask = masks_.as<uint32_t>();
    for (size_t i = 0; i < controls.size(); i++) {
        const SamplingControl &control = controls[i];
        const bool has_mask = control.mask != nullptr;
        if (has_mask) stream.to_device(mask, control.mask, words * sizeof(uint32_t));
        host_records_.push_back(kernels::sampling_record(control, control.samples ? rows[i] : -1,
                                                         has_mask ? mask : nullptr));
        if (has_mask) mask += words;
    }
    grow(records_, host_records_.size() * sizeof(kernels::SamplingRecord));
    stream.to_device(records_.data(), host_records_.data(),
                     host_records_.size() * sizeof(kernels::SamplingRecord));
}

void DeviceSampler::sample(const float *logits, int32_t vocab, std::span<const int32_t> rows,
                           std::span<const SamplingControl> controls, std::span<ds4_job_token> out,
                           device::Stream &stream) {
    const int32_t count = int32_t(controls.size());
    if (count == 0) return;
    upload(vocab, rows, controls, stream);
    grow(scratch_, uint64_t(kernels::sample_scratch(count, vocab)));
    grow(results_, uint64_t(count) * sizeof(kernels::SampledToken));
    kernels::sample({records_.as<kernels::SamplingRecord>(), count, vocab, logits, scratch_.data(),
                     results_.as<kernels::SampledToken>(), nullptr},
                    stream);
    host_results_.resize(size_t(count));
    stream.to_host(host_results_.data(), results_.data(),
                   uint64_t(count) * sizeof(kernels::SampledToken));
    stream.wait();
    for (size_t i = 0; i < host_results_.size(); i++) {
        const kernels::SampledToken &result = host_results_[i];
        if (result.status == DS4_ERR_ARGUMENT)
            fail(DS4_ERR_ARGUMENT, "the forced token %d is not in 0..%d", controls[i].forced,
                 vocab - 1);
        if (result.status != DS4_OK) fail(DS4_ERR_INTERNAL, "no allowed logit is a finite number");
        out[i] = result.token;
    }
}

} // namespace ds4::cuda
