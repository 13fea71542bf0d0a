// Test support: counts of this process's threads and mappings, and its memory.
#pragma once
#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>

namespace ds4::ktb::test {

// The kernel lists a joined thread for a moment longer, so that the lowest of some looks counts.
inline int threads_now() {
    int fewest = INT_MAX;
    for (int look = 0; look < 20; look++) {
        int count = 0;
        for (const auto &entry : std::filesystem::directory_iterator("/proc/self/task"))
            count += entry.exists() ? 1 : 0;
        fewest = std::min(fewest, count);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return fewest;
}

inline int mappings_now() {
    std::ifstream maps("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(maps, line);) count++;
    return count;
}

inline uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    uint64_t total = 0, resident = 0;
    file >> total >> resident;
    return resident * uint64_t(sysconf(_SC_PAGESIZE));
}

} // namespace ds4::ktb::test
