#include "backend/cpu/turns.h"

#include <atomic>
#include <thread>

#include "base/test.h"

using namespace ds4;
using ds4::cpu::Turns;
using Clock = Turns::Clock;
using std::chrono::milliseconds;

namespace {

void compute(milliseconds time) {
    const auto end = Clock::now() + time;
    while (Clock::now() < end) std::this_thread::yield();
}

} // namespace

TEST("a long step of the prefill lane gives way between blocks, and both lanes get half the time") {
    Turns turns;
    std::atomic<bool> stop{false};
    std::atomic<int> decoded{0}, at_once{0}, wrong{0};
    const auto alone = [&](const auto &body) {
        if (at_once.fetch_add(1) != 0) wrong++;
        body();
        at_once--;
    };
    std::thread decode([&] {
        while (!stop) {
            turns.take(Lane::decode);
            alone([] { compute(milliseconds(3)); });
            turns.give_back(Lane::decode);
            decoded++;
        }
    });
    int blocks = 0;
    Clock::duration away{};
    const auto begin = Clock::now();
    turns.take(Lane::prefill);
    // A busy machine needs longer for as many turns.
    for (; (blocks < 120 || decoded < 40) && Clock::now() - begin < milliseconds(20000); blocks++) {
        alone([] { compute(milliseconds(1)); });
        away += turns.give_way();
    }
    turns.give_back(Lane::prefill);
    const double share = double(away.count()) / double((Clock::now() - begin).count());
    stop = true;
    decode.join();
    CHECK(wrong == 0);
    CHECK(decoded >= 40 && blocks >= 120);
    CHECK(share > 0.2 && share < 0.8);
}

TEST("with the other lane idle a lane takes its turns at once") {
    Turns turns;
    for (const Lane lane : {Lane::decode, Lane::decode, Lane::prefill, Lane::prefill}) {
        turns.take(lane);
        if (lane == Lane::prefill) CHECK(turns.give_way() == Clock::duration{});
        turns.give_back(lane);
    }
}
