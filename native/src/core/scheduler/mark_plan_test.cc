#include "core/scheduler/mark_plan.h"

#include "base/test.h"

using namespace ds4;

TEST("marks are due behind the offsets and at the multiples, as counting one by one finds them") {
    for (const uint64_t begin : {0u, 5u, 12u})
        for (const uint32_t interval : {0u, 1u, 6u, 100u})
            for (const std::vector<uint32_t> &offsets :
                 {std::vector<uint32_t>{}, {1}, {3, 4, 19}, {6, 12, 18, 24}}) {
                const MarkPlan plan(begin, offsets, interval);
                const auto is_due = [&](uint64_t at) {
                    bool due = interval > 0 && at % interval == 0;
                    for (const uint32_t offset : offsets) due = due || at == begin + offset;
                    return due && at > begin;
                };
                for (uint64_t at = begin; at < begin + 60; at++) {
                    CHECK(plan.is_due(at) == is_due(at));
                    uint64_t next = at + 1;
                    while (next < begin + 200 && !is_due(next)) next++;
                    CHECK(plan.next(at) == (next < begin + 200 ? next : MarkPlan::kNever));
                }
            }
}
