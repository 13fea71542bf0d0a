#include "core/scheduler/batch_planner.h"

#include <memory>

#include "base/test.h"
#include "core/scheduler/generation_job.h"
#include "ds4.h"

using namespace ds4;

namespace {

std::unique_ptr<GenerationJob> job_with(uint32_t prompt_tokens) {
    GenerationRequest request{nullptr, {}, std::vector<int32_t>(prompt_tokens, 1), {}, {}, {}};
    request.options.max_tokens = 1'000'000;
    request.options.think_close_token = -1;
    request.options.sampling = {sizeof(ds4_sampling), 0.0f, 1.0f, 0.0f, 0, 0, 1};
    return std::make_unique<GenerationJob>(1, std::move(request), 10'000'000, nullptr);
}

std::unique_ptr<GenerationJob> decoding_job() {
    auto job = job_with(1);
    ds4_job_token token{};
    token.id = 1;
    job->advance(1, &token);
    return job;
}

// Prompt tokens of the 40th step beside a decoding job, where a step takes this long.
uint32_t chunk_after(uint64_t base_us, uint64_t us_per_token) {
    BatchPlanner planner(512);
    const auto talk = decoding_job(), read = job_with(1'000'000);
    planner.record_step(planner.plan({talk.get()}), base_us);
    uint32_t chunk = 0;
    for (int i = 0; i < 40; i++) {
        const Batch batch = planner.plan({talk.get(), read.get()});
        chunk = batch.back().count;
        planner.record_step(batch, base_us + us_per_token * chunk);
    }
    return chunk;
}

} // namespace

TEST("a prompt alone takes the whole step, and several share it, the short ones whole") {
    BatchPlanner planner(100);
    const auto alone = job_with(1000);
    CHECK(planner.plan({alone.get()}).at(0).count == 100);
    const auto shortest = job_with(10), middle = job_with(200), longest = job_with(1000);
    const Batch batch = planner.plan({longest.get(), shortest.get(), middle.get()});
    CHECK(batch.size() == 3);
    CHECK(batch[0].job == shortest.get() && batch[0].count == 10);
    CHECK(batch[1].job == middle.get() && batch[1].count == 45);
    CHECK(batch[2].job == longest.get() && batch[2].count == 45);
}

TEST("more prompts than the step has tokens take turns") {
    BatchPlanner planner(2);
    std::vector<std::unique_ptr<GenerationJob>> jobs;
    std::vector<GenerationJob *> list;
    for (int i = 0; i < 5; i++) {
        jobs.push_back(job_with(100));
        list.push_back(jobs.back().get());
    }
    std::vector<int> served(5, 0);
    for (int step = 0; step < 50; step++) {
        for (const BatchEntry &entry : planner.plan(list))
            for (size_t i = 0; i < list.size(); i++)
                served[i] += entry.job == list[i] ? int(entry.count) : 0;
    }
    for (const int count : served) CHECK(count == 20);
}

TEST("beside decoding jobs the prompt chunk follows the time that a step takes") {
    CHECK(chunk_after(1'000, 10) == 511); // a fast machine: all that the budget leaves
    const uint32_t middling = chunk_after(10'000, 2'000); // 100 tokens in 0.2 s
    CHECK(middling >= 32 && middling <= 100);
    CHECK(chunk_after(10'000, 1'000'000) == 16); // never less than what keeps a prompt moving
    const uint32_t slow =
        chunk_after(500'000, 20'000); // decoding alone takes 0.5 s: up to 1.5 s beside a prompt
    CHECK(slow >= 32 && slow <= 64);
}
