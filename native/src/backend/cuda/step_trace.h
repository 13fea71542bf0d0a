// Copies a step's intermediates from the GPU into a trace, under the names of the CPU backend.
#pragma once
#include <cstdint>
#include <string>

#include "backend/cuda/context.h"
#include "backend/cuda/forward.h"
#include "backend/step.h"
#include "base/trace.h"
#include "device/device.h"

namespace ds4::cuda {

class StepTrace {
  public:
    // trace: null, and nothing is copied.
    StepTrace(Trace *trace, const Context &context, const StepPlan &plan, const StepExtent &extent,
              const StepBuffers &buffers, device::Stream &stream)
        : trace_(trace), context_(context), plan_(plan), extent_(extent), b_(buffers),
          stream_(stream) {}

    // Input, weights of the output and of the streams: name is "attn" or "ffn".
    void put_entry(int layer, const std::string &name);
    void put_attention(int layer); // before its output is in the streams
    void put_experts(int layer);   // likewise
    void put_streams(int layer, const std::string &name);
    void put_head();

  private:
    template <typename T> std::vector<T> values_of(const T *device, int64_t count);
    void put(int layer, const std::string &name, const float *device, int64_t count);
    void put(int layer, const std::string &name, std::vector<float> values);
    void put_selection(int layer);
    void put_compressed(int layer);

    Trace *trace_;
    const Context &context_;
    const StepPlan &plan_;
    const StepExtent &extent_;
    const StepBuffers &b_;
    device::Stream &stream_;
};

} // namespace ds4::cuda
