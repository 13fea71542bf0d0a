#include "kernels/matmul/batch.h"

#include <algorithm>

namespace ds4::kernels::matmul_detail {

int multiprocessors() {
    static const int count = device::facts(0).multiprocessors;
    return count;
}

int64_t row_bytes_f32(const Batch &batch) {
    int64_t bytes = 0;
    for (int i = 0; i < batch.count; i++) {
        const BatchEntry &entry = batch.entries[i];
        if (entry.kind == Kind::q8_0_int8 || entry.kind == Kind::f8_e4m3_bf16) continue;
        bytes = std::max<int64_t>(bytes, int64_t(entry.cols) * 4);
    }
    return bytes;
}

int64_t share_blocks(Batch &batch, int64_t blocks) {
    int64_t bytes = 0, strips = 0, first = 0;
    for (int i = 0; i < batch.count; i++) {
        strips += batch.entries[i].strips;
        bytes += batch.entries[i].strips * batch.entries[i].strip_bytes;
    }
    for (int i = 0; i < batch.count; i++) {
        BatchEntry &entry = batch.entries[i];
        // Blocks of the small ones must fit beside those of the large ones.
        const int64_t share = std::max<int64_t>(blocks - batch.count + 1, 1) * entry.strips *
                              entry.strip_bytes / bytes;
        entry.blocks =
            int32_t(strips <= blocks ? entry.strips : std::clamp<int64_t>(share, 1, entry.strips));
        entry.first_block = int32_t(first), first += entry.blocks;
    }
    return first;
}

int64_t give_each_its_strips(Batch &batch, int strips_of_block) {
    int64_t first = 0;
    for (int i = 0; i < batch.count; i++) {
        BatchEntry &entry = batch.entries[i];
        entry.blocks = (entry.strips + strips_of_block - 1) / strips_of_block;
        entry.first_block = int32_t(first), first += entry.blocks;
    }
    return first;
}

} // namespace ds4::kernels::matmul_detail
