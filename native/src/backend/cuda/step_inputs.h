// The tokens and sequences of a step in the memory of the GPU.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cuda/cuda_sequence.h"
#include "backend/step.h"
#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::cuda {

class StepInputs {
  public:
    // Reserves rows of the sequences and uploads the table. Throws as Sequence::reserve does.
    // The memory of the step before is used again.
    void upload(const StepPlan &plan, std::span<const int32_t> tokens, device::Stream &stream);
    // kept: of each sequence. The array lies beside the table until the next upload.
    const int32_t *upload_kept(std::span<const uint32_t> kept, device::Stream &stream);

    const kernels::StepTable &table() const { return table_; }
    const int32_t *logits_rows() const { return logits_rows_; } // device, [logits_row_count()]
    int32_t logits_row_count() const { return int32_t(is_sampled_.size()); }
    // [logits_row_count()]: rows that a token is sampled from; the others are the caller's.
    const std::vector<uint8_t> &is_sampled() const { return is_sampled_; }
    // The positions of a sequence's last row, over all sequences the largest.
    int64_t last_position() const { return last_position_; }

  private:
    device::Memory memory_;
    std::vector<uint8_t> bytes_; // as uploaded
    kernels::StepTable table_;
    const int32_t *logits_rows_ = nullptr;
    int32_t *kept_ = nullptr;
    std::vector<int32_t> kept_values_;
    std::vector<uint8_t> is_sampled_;
    int64_t last_position_ = 0;
};

} // namespace ds4::cuda
