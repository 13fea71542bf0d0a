#include "base/allowed_cpus.h"

#include <sched.h>

namespace ds4 {

// A machine with more than 1024 CPUs needs a larger set than cpu_set_t. The call fails for a set
// that is too small.
std::vector<int> allowed_cpus() {
    std::vector<int> allowed;
    for (int cpus = 1024; cpus <= 1 << 20 && allowed.empty(); cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (set == nullptr) break;
        const size_t bytes = CPU_ALLOC_SIZE(cpus);
        CPU_ZERO_S(bytes, set);
        if (sched_getaffinity(0, bytes, set) == 0)
            for (int cpu = 0; cpu < cpus; cpu++)
                if (CPU_ISSET_S(cpu, bytes, set)) allowed.push_back(cpu);
        CPU_FREE(set);
    }
    if (allowed.empty()) allowed.push_back(0);
    return allowed;
}

} // namespace ds4
