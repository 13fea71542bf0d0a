// Where the rings of recent rows lie in the memory of a sequence, and rows in its pages.
#pragma once
#include <vector>

#include "kernels/step/step_table.h"
#include "kv/page_pool.h"
#include "kv/recent_rows.h"

namespace ds4::cuda {

struct RecentLayout {
    std::vector<kernels::LayerCacheLayout> layers;
    std::vector<kernels::RingLayout> rings; // of all layers, those with slots
    int64_t bytes = 0;                      // of a sequence's rings; staged rows take as much

    explicit RecentLayout(const PagePool &pool);
    const kernels::RingLayout &ring(int layer, RecentRows rows) const;
};

} // namespace ds4::cuda
