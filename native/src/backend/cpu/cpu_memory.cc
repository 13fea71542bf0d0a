#include "backend/cpu/cpu_memory.h"

#include <algorithm>

#include "backend/cache_options.h"
#include "backend/step.h"
#include "experts/expert_placement.h"
#include "experts/memory_budget.h"
#include "kv/page_layout.h"
#include "kv/page_pool.h"

namespace ds4::cpu {
namespace {

constexpr uint32_t kSessionTokens = 32768; // the default length of a server's sessions

// Each lane has a workspace for its own largest step.
uint64_t step_bytes(const Model &model, const EngineOptions &options, const WorkspaceFacts &facts,
                    const MemoryAccount &account) {
    const uint32_t longest = account.step_tokens, shortest = std::min(longest, kShortPromptTokens);
    uint64_t bytes = workspace_bytes(facts, longest, account.session_tokens) +
                     workspace_bytes(facts, shortest, account.session_tokens);
    if (!facts.packs_experts) return bytes;
    const char *automatic = reduces_activations(options) ? "int8" : "f32";
    const LibraryFacts library{model.shape(), model.layer(0).gate[0].type,
                               expert_numerics(options.experts.numerics, automatic), facts.threads};
    bytes += library_workspace_bytes(library, longest);
    if (facts.lanes_at_once) bytes += library_workspace_bytes(library, shortest);
    return bytes;
}

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
    account.workspace = step_bytes(model, options, facts, account);
    return account;
}

} // namespace ds4::cpu
