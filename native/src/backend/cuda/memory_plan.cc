#include "backend/cuda/memory_plan.h"

#include <algorithm>

#include "backend/cache_options.h"
#include "backend/cuda/forward.h"
#include "backend/step.h"
#include "base/fail.h"
#include "ds4.h"

namespace ds4::cuda {
namespace {

constexpr uint32_t kDefaultSessionTokens = 32768;

uint64_t workspace_bytes(const Context &context, int32_t rows, int64_t tokens) {
    Arena measure;
    (void)StepBuffers(measure, context, {rows, 1, std::max<int64_t>(tokens, rows) - 1});
    return measure.bytes();
}

// Rounded up, so that what is told fits.
unsigned long long megabytes(uint64_t bytes) { return (bytes + (1u << 20) - 1) >> 20; }

} // namespace

MemoryPlan plan_memory(const Model &model, const EngineOptions &options, const PagePool &pages) {
    const Shape &shape = model.shape();
    const RecentLayout recent(pages);
    const bool rounds = reduces_activations(options);
    const Context context{shape, nullptr, pages.layout, recent, nullptr, 0, rounds, true};
    MemoryPlan plan;
    plan.weights = packed_weight_bytes(model);
    MemoryAccount &account = plan.account;
    account.packed_weights = plan.weights.total();
    account.session_tokens = options.session_tokens != 0
                                 ? std::min(options.session_tokens, shape.context_tokens)
                                 : std::min(kDefaultSessionTokens, shape.context_tokens);
    account.session_base = 2 * uint64_t(recent.bytes) +
                           uint64_t(PageLayout::pages(account.session_tokens)) * sizeof(uint8_t *);
    account.page_tokens = uint32_t(PageLayout::kTokens);
    account.page_bytes = pages.page_bytes();
    account.step_tokens = options.max_step_tokens;
    account.workspace =
        workspace_bytes(context, int32_t(options.max_step_tokens), account.session_tokens) +
        workspace_bytes(context, int32_t(kShortPromptTokens), account.session_tokens);
    return plan;
}

void check_plan(const MemoryPlan &plan, uint64_t available) {
    if (plan.needed() <= available) return;
    const MemoryAccount &account = plan.account;
    const uint64_t fixed = plan.weights.total() + account.workspace + account.session_base;
    if (fixed + account.page_bytes <= available) {
        const uint64_t pages = (available - fixed) / account.page_bytes;
        fail(DS4_ERR_DEVICE_MEMORY,
             "the GPU has %llu MB free; weights (%llu MB), workspace (%llu MB) and a session of %u "
             "tokens (%llu MB) need %llu MB. A session of %llu tokens would fit: choose a smaller "
             "context",
             (unsigned long long)(available >> 20), megabytes(plan.weights.total()),
             megabytes(account.workspace), account.session_tokens,
             megabytes(account.session(account.session_tokens)), megabytes(plan.needed()),
             (unsigned long long)(pages * account.page_tokens));
    }
    fail(DS4_ERR_DEVICE_MEMORY,
         "the GPU has %llu MB free; the weights alone take %llu MB (routed experts %llu MB) and "
         "the workspace %llu MB. Run on the CPU (--backend cpu), or take a smaller file",
         (unsigned long long)(available >> 20), megabytes(plan.weights.total()),
         megabytes(plan.weights.experts), megabytes(account.workspace));
}

} // namespace ds4::cuda
