// Contenders that take turns on one machine, so that other load hits all of them alike.
#pragma once
#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

namespace ds4::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

template <typename Body> double seconds_of(const Body &body) {
    const Clock::time_point begin = Clock::now();
    body();
    return seconds_since(begin);
}

// Seconds of each sample of one contender.
struct Samples {
    std::vector<double> seconds;

    double at(double share) const {
        std::vector<double> sorted = seconds;
        std::sort(sorted.begin(), sorted.end());
        return sorted[size_t(double(sorted.size()) * share)];
    }
    // The smallest of fewer than ten samples. Other load only ever adds time, and the first decile
    // of many is no lucky run.
    double first_decile() const { return at(0.1); }
    double median() const { return at(0.5); }
};

struct Turns {
    double seconds = 1; // all turns together; least_bursts may need more
    size_t least_bursts = 3;
    size_t burst = 6; // timed calls in a row
    size_t warm = 2;  // calls before them, which wake the contender's threads
};

// Longer than an idle worker of any contender spins, so that a turn begins with the others asleep.
constexpr std::chrono::milliseconds kPause(3);

struct Contender {
    std::function<void()> body;
    // Called after each turn, for threads that do not go to sleep by themselves.
    std::function<void()> sleep = nullptr;
};

inline std::vector<Samples> take_turns(const std::vector<Contender> &contenders,
                                       const Turns &turns) {
    std::vector<Samples> samples(contenders.size());
    const Clock::time_point begin = Clock::now();
    for (size_t burst = 0; burst < turns.least_bursts || seconds_since(begin) < turns.seconds;
         burst++)
        for (size_t i = 0; i < contenders.size(); i++) {
            std::this_thread::sleep_for(kPause);
            for (size_t call = 0; call < turns.warm; call++) contenders[i].body();
            for (size_t call = 0; call < turns.burst; call++)
                samples[i].seconds.push_back(seconds_of(contenders[i].body));
            if (contenders[i].sleep) contenders[i].sleep();
        }
    return samples;
}

} // namespace ds4::bench
