// One request to generate, as ds4_job_start takes it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ds4.h"

namespace ds4 {

struct GenerationRequest {
    ds4_session *session;
    ds4_job_options options;
    std::vector<int32_t> prompt; // new tokens, >= 1
    std::vector<int32_t> stop_tokens;
    std::vector<std::string> stop_strings;
    std::vector<std::string> tool_names; // of options.tool_names, which must not be read later
    std::vector<uint32_t> mark_offsets;  // likewise

    // Whether the job cannot do without the bytes of its tokens, which needs the vocabulary.
    bool reads_bytes() const { return !stop_strings.empty() || options.tool_zones != 0; }
};

// Checks ids, counts and the options that depend on each other. Throws Error(DS4_ERR_ARGUMENT).
void check_request(const GenerationRequest &request, uint32_t vocab);

} // namespace ds4
