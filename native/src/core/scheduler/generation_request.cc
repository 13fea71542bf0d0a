#include "core/scheduler/generation_request.h"

#include "base/fail.h"
#include "sampling/control.h"
#include "ds4.h"

namespace ds4 {
namespace {

// Bounds on the memory that one request may make the scheduler hold.
constexpr size_t kMaxStopTokens = 4096;
constexpr size_t kMaxStopStrings = 256;
constexpr size_t kMaxStopStringBytes = 64 * 1024;

void check_ids(const std::vector<int32_t> &ids, const char *what, uint32_t vocab) {
    for (size_t i = 0; i < ids.size(); i++) {
        if (ids[i] < 0 || uint32_t(ids[i]) >= vocab)
            fail(DS4_ERR_ARGUMENT, "%s %zu is %d; this model's ids are 0..%u", what, i, ids[i],
                 vocab - 1);
    }
}

void check_marks(const GenerationRequest &request) {
    uint32_t before = 0;
    for (const uint32_t offset : request.mark_offsets) {
        if (offset <= before || offset >= request.prompt.size())
            fail(DS4_ERR_ARGUMENT,
                 "mark offset %u comes after %u in a prompt of %zu tokens; offsets ascend from 1 "
                 "and end before the last token",
                 offset, before, request.prompt.size());
        before = offset;
    }
    if (request.options.mark_end > 1)
        fail(DS4_ERR_ARGUMENT, "mark_end is %u; expected 0 or 1", request.options.mark_end);
}

} // namespace

void check_request(const GenerationRequest &request, uint32_t vocab) {
    const ds4_job_options &options = request.options;
    if (request.session == nullptr) fail(DS4_ERR_ARGUMENT, "a job needs a session, got null");
    if (request.prompt.empty())
        fail(DS4_ERR_ARGUMENT, "a job needs at least one prompt token, got none");
    check_ids(request.prompt, "prompt token", vocab);
    check_ids(request.stop_tokens, "stop token", vocab);
    if (request.stop_tokens.size() > kMaxStopTokens)
        fail(DS4_ERR_ARGUMENT, "%zu stop tokens; at most %zu are allowed",
             request.stop_tokens.size(), kMaxStopTokens);
    if (request.stop_strings.size() > kMaxStopStrings)
        fail(DS4_ERR_ARGUMENT, "%zu stop strings; at most %zu are allowed",
             request.stop_strings.size(), kMaxStopStrings);
    for (const std::string &text : request.stop_strings) {
        if (text.empty() || text.size() > kMaxStopStringBytes)
            fail(DS4_ERR_ARGUMENT, "a stop string has %zu bytes; 1..%zu are allowed", text.size(),
                 kMaxStopStringBytes);
    }
    if (options.top_logprobs > kMaxTopLogprobs)
        fail(DS4_ERR_ARGUMENT, "top_logprobs is %u; 0..%u are allowed", options.top_logprobs,
             kMaxTopLogprobs);
    if (options.top_logprobs > 0 && options.logprobs == 0)
        fail(DS4_ERR_ARGUMENT, "top_logprobs is %u but logprobs is 0; set logprobs to 1",
             options.top_logprobs);
    if (options.reserved != 0 || options.mark_reserved != 0 || options.sampling.reserved != 0)
        fail(DS4_ERR_ARGUMENT,
             "the reserved fields of job, marks and sampling are %u, %u and %u; expected 0",
             options.reserved, options.mark_reserved, options.sampling.reserved);
    check_marks(request);
    if (options.think_close_token >= 0)
        check_ids({options.think_close_token}, "think_close_token", vocab);
    if (options.reasoning_budget > 0 && options.think_close_token < 0)
        fail(DS4_ERR_ARGUMENT, "reasoning_budget is %u but there is no think_close_token to force",
             options.reasoning_budget);
}

} // namespace ds4
