#include "core/scheduler/batch_planner.h"

#include <memory>

#include "base/test.h"
#include "core/scheduler/generation_job.h"
#include "ds4.h"

using namespace ds4;

namespace {

using Input = GenerationJob::Input;

const auto always = [](GenerationJob &) { return true; };

std::unique_ptr<GenerationJob> job_with(uint32_t prompt_tokens) {
    GenerationRequest request{nullptr, {}, std::vector<int32_t>(prompt_tokens, 1), {}, {}, {}, {}};
    request.options.max_tokens = 1'000'000;
    request.options.think_close_token = -1;
    request.options.sampling = {sizeof(ds4_sampling), 0.0f, 1.0f, 0.0f, 0, 0, 1};
    return std::make_unique<GenerationJob>(1, std::move(request), 0, 10'000'000, nullptr);
}

// The share has been evaluated; the token after it is 1.
void pass(GenerationJob &job, const GenerationJob::Share &share) {
    ds4_job_token token{};
    token.id = 1;
    job.take(share);
    job.advance(share, true, share.samples ? &token : nullptr);
}

std::unique_ptr<GenerationJob> decoding_job() {
    auto job = job_with(1);
    pass(*job, job->next_share());
    return job;
}

std::vector<GenerationJob *> list_of(const std::vector<std::unique_ptr<GenerationJob>> &jobs) {
    std::vector<GenerationJob *> list;
    for (const auto &job : jobs) list.push_back(job.get());
    return list;
}

// Prompt tokens in the 40th step beside a decoding job, where a step takes this long.
uint32_t short_prompt_after(uint64_t base_us, uint64_t us_per_token) {
    BatchPlanner planner(512);
    const auto talk = decoding_job();
    planner.record_decode(planner.plan_decode({talk.get()}, always), base_us);
    uint32_t count = 0;
    for (int i = 0; i < 40; i++) {
        std::vector<std::unique_ptr<GenerationJob>> prompts;
        for (int k = 0; k < 4; k++) prompts.push_back(job_with(16));
        std::vector<GenerationJob *> jobs = list_of(prompts);
        jobs.push_back(talk.get());
        const Batch batch = planner.plan_decode(jobs, always);
        count = 0;
        for (const BatchEntry &entry : batch)
            count += entry.share.input == Input::Prompt ? entry.share.count : 0;
        planner.record_decode(batch, base_us + us_per_token * count);
    }
    return count;
}

// Tokens of the prefill lane's step after one that took this long, alone or beside another job.
uint32_t chunk_after(uint64_t us_per_token, bool alone) {
    BatchPlanner planner(512);
    const auto talk = decoding_job(), read = job_with(1'000'000);
    planner.record_prefill(planner.plan_prefill({read.get()}, always), us_per_token * 512);
    std::vector<GenerationJob *> jobs{read.get()};
    if (!alone) jobs.push_back(talk.get());
    return planner.plan_prefill(jobs, always).at(0).share.count;
}

} // namespace

TEST("a long prompt alone takes whole steps, and several share them, the shortest first") {
    BatchPlanner planner(300);
    const auto alone = job_with(1000);
    CHECK(planner.plan_prefill({alone.get()}, always).at(0).share.count == 300);
    const auto shortest = job_with(70), middle = job_with(200), longest = job_with(1000);
    const Batch batch = planner.plan_prefill({longest.get(), shortest.get(), middle.get()}, always);
    CHECK(batch.size() == 3);
    CHECK(batch[0].job == shortest.get() && batch[0].share.count == 70);
    CHECK(batch[0].share.samples && !batch[1].share.samples);
    CHECK(batch[1].job == middle.get() && batch[1].share.count == 115);
    CHECK(batch[2].job == longest.get() && batch[2].share.count == 115);
}

TEST("decoding jobs and short prompts share the decode lane, and long prompts keep out of it") {
    BatchPlanner planner(512);
    const auto talk = decoding_job(), ask = job_with(20), read = job_with(5000);
    const std::vector<GenerationJob *> jobs{read.get(), ask.get(), talk.get()};
    const Batch decode = planner.plan_decode(jobs, always),
                prefill = planner.plan_prefill(jobs, always);
    CHECK(decode.size() == 2);
    CHECK(decode[0].job == talk.get() && decode[0].share.input == Input::Token);
    CHECK(decode[1].job == ask.get() && decode[1].share.count == 20 && decode[1].share.samples);
    CHECK(prefill.size() == 1 && prefill[0].job == read.get());
    // Without the long prompt its lane is free for the short one.
    CHECK(planner.plan_prefill({ask.get(), talk.get()}, always).at(0).job == ask.get());
    CHECK(planner.plan_decode(jobs, [&](GenerationJob &job) { return &job != talk.get(); })
              .at(0)
              .job == ask.get());
}

TEST("more prompts than the step has tokens take turns") {
    BatchPlanner planner(2);
    std::vector<std::unique_ptr<GenerationJob>> jobs;
    for (int i = 0; i < 5; i++) jobs.push_back(job_with(100));
    std::vector<int> served(5, 0);
    for (int step = 0; step < 50; step++)
        for (const BatchEntry &entry : planner.plan_prefill(list_of(jobs), always))
            for (size_t i = 0; i < jobs.size(); i++)
                served[i] += entry.job == jobs[i].get() ? int(entry.share.count) : 0;
    for (const int count : served) CHECK(count == 20);
}

TEST("a house full of decoding jobs does not keep a prompt out for ever") {
    BatchPlanner planner(4);
    std::vector<std::unique_ptr<GenerationJob>> jobs;
    for (int i = 0; i < 6; i++) jobs.push_back(decoding_job());
    jobs.push_back(job_with(3));
    int prompt_tokens = 0;
    std::vector<int> decoded(jobs.size(), 0);
    for (int step = 0; step < 48; step++)
        for (const BatchEntry &entry : planner.plan_decode(list_of(jobs), always)) {
            if (entry.share.input == Input::Prompt) prompt_tokens += int(entry.share.count);
            for (size_t i = 0; i < jobs.size(); i++) decoded[i] += entry.job == jobs[i].get();
        }
    CHECK(prompt_tokens == 6); // one of 8 steps has room for one token of it
    for (size_t i = 0; i < 6; i++) CHECK(decoded[i] >= 24 && decoded[i] <= 38);
}

TEST("beside decoding jobs the prompts in their lane follow the time that a step takes") {
    CHECK(short_prompt_after(1'000, 10) == 64); // a fast machine: all that counts as short
    const uint32_t middling = short_prompt_after(10'000, 5'000); // 40 tokens in 0.2 s
    CHECK(middling >= 16 && middling <= 40);
    CHECK(short_prompt_after(10'000, 1'000'000) == 16);
    // Decoding alone takes 0.5 s: a step beside prompts may take 1.5 s.
    CHECK(short_prompt_after(500'000, 20'000) >= 32);
}

TEST("a step of the prefill lane is bounded by time where others wait, not where it is alone") {
    CHECK(chunk_after(100, false) == 512); // 51 ms
    CHECK(chunk_after(5'000, false) == 200);
    CHECK(chunk_after(50'000, false) == 64);
    CHECK(chunk_after(50'000, true) == 512);
}
