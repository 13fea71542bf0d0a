// The compressed entries that rows of a step see, and where their index rows lie.
#pragma once
#include "device/kernel.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

// Entries that are closed at the row's position; 0 for a padded row.
__device__ __forceinline__ int64_t visible_entries(const StepTable &step, int row, int ratio) {
    return step.row_sequence[row] < 0 ? 0 : (int64_t(step.row_position[row]) + 1) / ratio;
}
// Entries of a sequence at the end of the step.
__device__ __forceinline__ int64_t closed_entries(const SequenceEntry &sequence, int ratio) {
    return (int64_t(sequence.position) + sequence.count) / ratio;
}
__device__ __forceinline__ const uint8_t *entry_row(uint8_t *const *pages,
                                                    const PagedLayout &layout, int64_t entry) {
    const int64_t in_page = entry & ((int64_t(1) << layout.shift) - 1);
    return pages[entry >> layout.shift] + layout.offset + in_page * layout.row_bytes;
}

} // namespace ds4::kernels
