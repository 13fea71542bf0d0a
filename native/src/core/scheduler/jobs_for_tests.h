// Greedy jobs over fake sessions. Test code.
#pragma once
#include <array>
#include <chrono>
#include <thread>
#include <vector>

#include "base/fail.h"
#include "core/scheduler/fake_executor.h"
#include "core/scheduler/generation_request.h"
#include "core/scheduler/scheduler.h"
#include "ds4.h"

namespace ds4::test {

inline GenerationRequest request(FakeSession &session, size_t prompt_tokens, uint32_t max_tokens,
                                 uint32_t tag = 0) {
    GenerationRequest made{
        session.handle(), {}, std::vector<int32_t>(prompt_tokens, 1), {}, {}, {}, {}};
    made.options.struct_bytes = sizeof(ds4_job_options);
    made.options.tag = tag;
    made.options.max_tokens = max_tokens;
    made.options.think_close_token = -1;
    made.options.sampling = {sizeof(ds4_sampling), 0.0f, 1.0f, 0.0f, 0, 0, 1};
    return made;
}

// Polls until no token is pending; appends the ids to ids.
inline ds4_job_state poll(Scheduler &scheduler, uint64_t job, std::vector<int32_t> *ids = nullptr) {
    ds4_job_state state{};
    std::array<ds4_job_token, 16> tokens;
    do {
        scheduler.poll(job, tokens.data(), uint32_t(tokens.size()), state);
        for (uint32_t i = 0; ids != nullptr && i < state.token_count; i++)
            ids->push_back(tokens[i].id);
    } while (state.pending_tokens > 0);
    return state;
}

// Polls until the job has ended, then frees it. Fails after a minute.
inline ds4_job_state wait(Scheduler &scheduler, uint64_t job, std::vector<int32_t> *ids = nullptr) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    ds4_job_state state = poll(scheduler, job, ids);
    while (state.status == DS4_JOB_RUNNING) {
        if (std::chrono::steady_clock::now() > deadline)
            fail(DS4_ERR_INTERNAL, "a job does not end");
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        state = poll(scheduler, job, ids);
    }
    scheduler.free(job);
    return state;
}

} // namespace ds4::test
