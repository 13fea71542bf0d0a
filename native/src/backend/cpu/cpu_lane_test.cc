// The two lanes of the CPU backend beside each other.
#include "backend/cpu/cpu_lane.h"

#include <memory>
#include <string>
#include <vector>

#include "api/model_handle.h"
#include "api/small_model_for_tests.h"
#include "backend/cpu/cpu_backend.h"
#include "base/test.h"
#include "machine/usable_cores.h"

using namespace ds4;
using namespace ds4::test;

namespace {

std::unique_ptr<Step> submit(Backend &backend, Lane lane, SequenceState &sequence, uint32_t count,
                             bool samples = false) {
    StepPlan plan;
    StepSequence in{};
    in.state = &sequence, in.count = count, in.samples = samples;
    plan.sequences.push_back(in);
    for (uint32_t i = 0; i < count; i++) plan.tokens.push_back(int32_t(i * 5 % 48));
    return backend.submit(lane, std::move(plan));
}

// Steps of one token that end while a step of 2,000 runs in the prefill lane.
int decoded_beside_a_prompt(Backend &backend) {
    const auto reading = backend.open_sequence(4096), talking = backend.open_sequence(4096);
    const uint32_t all = 2000, one = 1;
    const std::unique_ptr<Step> prompt = submit(backend, Lane::prefill, *reading, all);
    prompt->commit({&all, 1});
    int decoded = 0;
    while (!prompt->is_done() && decoded < 1000) {
        const std::unique_ptr<Step> token = submit(backend, Lane::decode, *talking, 1);
        token->commit({&one, 1});
        CHECK(token->await().status == DS4_OK);
        decoded += prompt->is_done() ? 0 : 1;
    }
    CHECK(prompt->await().status == DS4_OK && reading->position() == all);
    return decoded;
}

} // namespace

TEST("tokens are decoded while a long prompt is read, in turns and on threads of their own") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    for (const int threads : {1, 0}) {
        EngineOptions options;
        options.cpu.threads = threads;
        const auto backend = cpu::open_cpu_backend(model->model, options);
        const bool at_once = threads == 0 && machine::usable_cores() >= 2;
        const std::string lanes = at_once ? "\"lanes\":\"at once\"" : "\"lanes\":\"in turns\"";
        CHECK(backend->describe().find(lanes) != std::string::npos);
        // Between layers alone a prompt of three layers would let six tokens pass.
        CHECK(decoded_beside_a_prompt(*backend) > 8);
    }
    ds4_model_close(model);
}

TEST("a lane that waits for its records keeps nobody from the cores") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    EngineOptions options;
    options.cpu.threads = 2;
    {
        const auto backend = cpu::open_cpu_backend(model->model, options);
        const uint32_t one = 1, all = 60;
        for (const Lane first : {Lane::decode, Lane::prefill}) {
            const Lane second = first == Lane::decode ? Lane::prefill : Lane::decode;
            const auto waiting = backend->open_sequence(100), going = backend->open_sequence(100);
            const std::unique_ptr<Step> token = submit(*backend, first, *waiting, 1, true);
            const std::unique_ptr<Step> prompt = submit(*backend, second, *going, all);
            prompt->commit({&all, 1});
            CHECK(prompt->await().status == DS4_OK); // for ever, if the other had the cores
            CHECK(!token->is_done());
            const SamplingControl greedy;
            token->control({&greedy, 1});
            token->commit({&one, 1});
            CHECK(token->await().status == DS4_OK && token->await().tokens[0].id >= 0);
        }
    }
    ds4_model_close(model);
}
