#include "experts/memory_budget.h"

#include "base/contains_for_tests.h"
#include "base/memory_account.h"
#include "base/test.h"
#include "ds4.h"
#include "experts/layers_for_tests.h"

using namespace ds4;
using namespace ds4::test;

namespace {
constexpr uint64_t kGib = uint64_t(1) << 30;
}

TEST(
    "memory decides: for auto everything must fit, where packing was asked for the experts alone") {
    const Shape shape = expert_shape();
    MemoryAccount account;
    account.session_base = 100, account.page_tokens = 2048, account.page_bytes = 900;
    account.session_tokens = 2049, account.workspace = 7;
    const MemoryNeeds counted =
        memory_needs(expert_layers(shape, DS4_TYPE_FP4_PACKED), 2, 5000000, account);
    const uint64_t experts = uint64_t(2) * 5 * 3 * 256 * 512 / 32 *
                             17; // two layers of five experts, 17 bytes per 32 weights
    CHECK(counted.packed == experts && counted.rest == 5000000 - experts &&
          counted.sessions == 100 + 2 * 900 + 7);

    const MemoryNeeds needs{100 * kGib, 10 * kGib, 5 * kGib};
    CHECK(memory_obstacle(needs, 115 * kGib, true).empty());
    CHECK(contains(memory_obstacle(needs, 114 * kGib, true),
                   "experts take 100.00 GiB and the rest 15.00 GiB; 114.00 GiB are available"));
    CHECK(memory_obstacle(needs, 105 * kGib, false).empty());
    CHECK(!memory_obstacle(needs, 104 * kGib, false).empty());
    CHECK(!memory_obstacle(needs, 0, true).empty());
    CHECK(memory_obstacle(needs, UINT64_MAX, true).empty()); // unknown
}
