#include "backend/cpu/cpu_memory.h"

#include <algorithm>

#include "experts/memory_budget.h"
#include "kv/page_layout.h"
#include "kv/page_pool.h"

namespace ds4::cpu {
namespace {

constexpr uint32_t kSessionTokens = 32768; // the default length of a server's sessions

} // namespace

MemoryAccount memory_account(const Model &model, const EngineOptions &options,
                             const WorkspaceFacts &facts, const PackedWeights &packed) {
    const Shape &shape = model.shape();
    const uint32_t wanted = options.session_tokens;
    MemoryAccount account;
    account.packed_weights = packed.expert_bytes + packed.dense_bytes;
    account.mapped_weights =
        model.used_bytes() - std::min(model.used_bytes(), account.packed_weights);
    account.session_base = facts.cache.ring_bytes();
    account.page_tokens = uint32_t(PageLayout::kTokens);
    account.page_bytes = PagePool::page_bytes(PageLayout(facts.cache));
    account.session_tokens = std::min(wanted == 0 ? kSessionTokens : wanted, shape.context_tokens);
    account.step_tokens = options.max_step_tokens;
    account.workspace = workspace_bytes(facts, account.step_tokens, account.session_tokens);
    if (packed.has_experts)
        account.workspace += library_workspace_bytes(shape, account.step_tokens);
    return account;
}

} // namespace ds4::cpu
