#include "backend/step_lane.h"

#include <atomic>
#include <future>
#include <thread>

#include "base/error.h"
#include "base/fail.h"
#include "base/test.h"

using namespace ds4;

namespace {

// Counts what a lane asks of it; the token after t is t + 1.
struct CountingRunner : StepRunner {
    std::atomic<int> evaluated{0}, left{0}, rested{0};
    std::atomic<bool> holds{false}, fails{false};
    std::vector<int32_t> tokens; // of the last step
    std::vector<std::vector<uint32_t>> commits;

    uint64_t evaluate(const StepPlan &, std::span<const int32_t> given,
                      const StepInterest &interest) override {
        evaluated++;
        while (holds && !interest.is_cancelled()) std::this_thread::yield();
        if (interest.is_cancelled()) fail(DS4_ERR_CANCELLED, "nobody wants it");
        if (fails) fail(DS4_ERR_DEVICE, "broken");
        tokens.assign(given.begin(), given.end());
        return 7;
    }
    void sample(std::span<const SamplingControl> records, std::span<ds4_job_token> out) override {
        for (size_t i = 0; i < out.size(); i++)
            out[i].id = records[i].samples ? tokens.back() + 1 : -1;
    }
    void leave() noexcept override { left++; }
    void rest() noexcept override { rested++; }
    void commit(const StepPlan &, std::span<const int32_t>,
                std::span<const uint32_t> kept) override {
        commits.emplace_back(kept.begin(), kept.end());
    }
};

StepPlan plan_of(std::vector<int32_t> tokens, int32_t follows = -1) {
    StepPlan plan;
    plan.sequences.push_back(
        {nullptr, uint32_t(tokens.size()), follows, DS4_LOGITS_NONE, true, {}});
    plan.tokens = std::move(tokens);
    return plan;
}

const SamplingControl kGreedy;
const uint32_t kOne = 1, kNone = 0, kThree = 3;

} // namespace

TEST("a step runs ahead on the token of the one before it, and waits for that one's commit") {
    CountingRunner runner;
    StepLane lane(runner);
    const auto first = lane.submit(plan_of({4, 5, 6})), second = lane.submit(plan_of({-1}, 0));
    first->control({&kGreedy, 1});
    CHECK(first->await().status == DS4_OK && first->await().tokens[0].id == 7);
    CHECK(first->await().microseconds >= 7);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(runner.evaluated == 1); // nothing has said what the first one leaves
    first->commit({&kThree, 1});
    second->control({&kGreedy, 1});
    second->commit({&kOne, 1}); // before it is done
    CHECK(second->await().tokens[0].id == 8 && runner.tokens == std::vector<int32_t>{7});
    CHECK((runner.commits == std::vector<std::vector<uint32_t>>{{3}, {1}}));
    CHECK(runner.left == 2);
}

TEST("a step is dropped at its next layer, before it begins, or when nobody commits it") {
    CountingRunner runner;
    StepLane lane(runner);
    runner.holds = true;
    auto running = lane.submit(plan_of({1})), queued = lane.submit(plan_of({2}));
    while (runner.evaluated == 0) std::this_thread::yield();
    queued->commit({&kNone, 1});
    running->commit({&kNone, 1});
    CHECK(running->await().status == DS4_ERR_CANCELLED);
    CHECK(queued->await().status == DS4_ERR_CANCELLED && runner.evaluated == 1);
    runner.holds = false;
    {
        const auto forgotten = lane.submit(plan_of({3}));
        forgotten->control({&kGreedy, 1});
        CHECK(forgotten->await().status == DS4_OK);
    }
    CHECK(runner.commits == std::vector<std::vector<uint32_t>>{{0}});
    const auto waiting = lane.submit(plan_of({4})); // for a record that does not come
    while (runner.evaluated < 3) std::this_thread::yield();
    waiting->commit({&kNone, 1});
    CHECK(waiting->await().status == DS4_ERR_CANCELLED);
}

TEST("a failed step commits nothing, fails the one that follows it, and the lane goes on") {
    CountingRunner runner;
    StepLane lane(runner);
    runner.fails = true;
    const auto first = lane.submit(plan_of({1})), second = lane.submit(plan_of({-1}, 0));
    first->commit({&kOne, 1});
    CHECK(first->await().status == DS4_ERR_DEVICE && first->await().text == "broken");
    CHECK(second->await().status == DS4_ERR_CANCELLED && runner.evaluated == 1);
    runner.fails = false;
    const auto third = lane.submit(plan_of({9}));
    third->control({&kGreedy, 1});
    third->commit({&kOne, 1});
    CHECK(third->await().tokens[0].id == 10);
    CHECK(runner.commits == std::vector<std::vector<uint32_t>>{{1}});
}

TEST("a token that follows nothing and counts that do not fit are refused") {
    CountingRunner runner;
    StepLane lane(runner);
    const auto refused = [](const auto &action) {
        try {
            action();
        } catch (const Error &) {
            return true;
        }
        return false;
    };
    CHECK(refused([&] { lane.submit(plan_of({-1}, 0)); }));
    const auto step = lane.submit(plan_of({1, 2}));
    CHECK(refused([&] { lane.submit(plan_of({-1}, 1)); }));
    CHECK(refused([&] { lane.submit(plan_of({-1, -1}, 0)); }));
    CHECK(refused([&] { step->commit({&kThree, 1}); }));
    CHECK(refused([&] { step->control({}); }));
}

TEST("a lane without steps rests once, and goes on with the next one") {
    CountingRunner runner;
    StepLane lane(runner, std::chrono::milliseconds(20));
    const auto run = [&] {
        const auto step = lane.submit(plan_of({1}));
        step->control({&kGreedy, 1});
        step->commit({&kOne, 1});
        return step->await().status;
    };
    for (int round = 1; round <= 2; round++) {
        CHECK(run() == DS4_OK);
        for (int i = 0; i < 2000 && runner.rested < round; i++)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
        CHECK(runner.rested == round);
    }
    StepLane patient(runner, std::chrono::minutes(1)); // ends at once all the same
    CHECK(patient.submit(plan_of({1})) != nullptr);
}
