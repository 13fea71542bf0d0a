// The memory that an engine takes, in bytes. Its backend counts it before anything is loaded, and
// plan, description and the place of the routed experts follow it.
#pragma once
#include <cstdint>
#include <string>

namespace ds4 {

struct MemoryAccount {
    uint64_t mapped_weights = 0; // read from the files, which may be larger than memory
    uint64_t packed_weights = 0; // copied into a layout of the engine's own
    uint64_t session_base = 0;   // a session without tokens
    uint32_t page_tokens = 1;    // a session grows by whole pages
    uint64_t page_bytes = 0;
    uint32_t session_tokens = 0; // length of the session that memory is left for
    uint32_t step_tokens = 0;    // the largest step
    // One such step, and a short one in the other lane beside it; that of packed experts included.
    uint64_t workspace = 0;

    uint64_t session(uint64_t tokens) const {
        return session_base + (tokens + page_tokens - 1) / page_tokens * page_bytes;
    }
    std::string describe() const { // JSON object
        const auto member = [](const char *name, uint64_t value) {
            return "\"" + std::string(name) + "\":" + std::to_string(value);
        };
        return "{" + member("mapped_weight_bytes", mapped_weights) + "," +
               member("packed_weight_bytes", packed_weights) + "," +
               member("kv_bytes_per_token", page_bytes / page_tokens) + "," +
               member("session_base_bytes", session_base) + "," +
               member("session_tokens", session_tokens) + "," +
               member("session_bytes", session(session_tokens)) + "," +
               member("step_tokens", step_tokens) + "," + member("workspace_bytes", workspace) +
               "}";
    }
};

} // namespace ds4
