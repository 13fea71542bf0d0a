#include "pool/worker_pool.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <pthread.h>
#include <sched.h>
#include <set>
#include <system_error>

#include "base/blocked_signals.h"
#include "pool/expert_error.h"
#include "machine/topology.h"

namespace ds4::ktb {
namespace {

constexpr int kMaximumWorkers = 4096;
constexpr int kMaximumParts = 64;
constexpr int64_t kSpinUs = 50000;     // a prompt's attention phase on the GPU is shorter than this
constexpr int64_t kSharedSpinUs = 200; // when workers take every core, spinning starves the caller

bool pin_this_thread(int cpu) {
    cpu_set_t *set = CPU_ALLOC(size_t(cpu) + 1);
    if (set == nullptr) return false;
    const size_t bytes = CPU_ALLOC_SIZE(size_t(cpu) + 1);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(size_t(cpu), bytes, set);
    const bool done = sched_setaffinity(0, bytes, set) == 0;
    CPU_FREE(set);
    return done;
}

} // namespace

WorkerPool::WorkerPool(const PoolOptions &options, const machine::Topology &topology) {
    if (options.external != 0) {
        plan_external(options, topology);
        return;
    }
    plan(options, topology);
    place(options, topology);
    launch();
}

WorkerPool::~WorkerPool() { stop(); }

// Decides how many parts there are and how many workers each has.
void WorkerPool::plan(const PoolOptions &options, const machine::Topology &topology) {
    int parts = options.parts;
    if (parts == 0) parts = std::max<int>(int(options.nodes.size()), int(options.cores.size()));
    if (parts == 0) parts = int(topology.nodes.size());
    int threads = options.threads;
    if (threads == 0 && !options.cores.empty())
        for (const auto &cores : options.cores) threads += int(cores.size());
    if (threads == 0)
        threads = std::max(parts, std::max(1, topology.usable - int(topology.nodes.size())));
    if (threads < 0 || parts < 0 || threads > kMaximumWorkers || parts > kMaximumParts)
        fail(KTB_ERR_ARGUMENT, "%d threads on %d parts: expected 1..%d threads and 1..%d parts",
             threads, parts, kMaximumWorkers, kMaximumParts);
    if (threads < parts)
        fail(KTB_ERR_ARGUMENT, "%d threads cannot serve %d parts: each part needs a thread",
             threads, parts);
    if (!options.nodes.empty() && int(options.nodes.size()) != parts)
        fail(KTB_ERR_ARGUMENT, "\"nodes\" names %zu nodes for %d parts", options.nodes.size(),
             parts);
    if (!options.cores.empty() && int(options.cores.size()) != parts)
        fail(KTB_ERR_ARGUMENT, "\"cores\" has %zu lists for %d parts", options.cores.size(), parts);

    const int granted = std::max(parts, std::min(threads, topology.usable));
    oversubscribed_ = granted > topology.usable;
    for (int part = 0; part < parts; part++) {
        parts_.push_back(std::make_unique<Part>());
        parts_.back()->workers = granted / parts + (part < granted % parts ? 1 : 0);
    }
    // Workers on every core leave none to the caller, so that they must give way quickly.
    fills_machine_ = granted >= topology.usable;
    spin_us_ = options.spin_us >= 0 ? options.spin_us
               : oversubscribed_    ? 0
               : fills_machine_     ? kSharedSpinUs
                                    : kSpinUs;
    all_.reset(uint32_t(granted), oversubscribed_ ? 0 : kBarrierSpins);
}

// Makes one part whose workers are threads of the caller, wherever they run. Memory lies where it
// is first touched.
void WorkerPool::plan_external(const PoolOptions &options, const machine::Topology &topology) {
    if (options.threads != 0 || options.parts != 0 || !options.nodes.empty() ||
        !options.cores.empty())
        fail(KTB_ERR_ARGUMENT, "\"external\" workers are the caller's threads: \"threads\", "
                               "\"parts\", \"nodes\" and \"cores\" have no meaning");
    const int workers = options.external;
    if (workers > kMaximumWorkers)
        fail(KTB_ERR_ARGUMENT, "%d external workers: expected 1..%d", workers, kMaximumWorkers);
    external_ = true;
    places_ = std::make_unique<Place[]>(size_t(workers));
    oversubscribed_ = workers > topology.usable;
    fills_machine_ = true;
    const uint32_t spins = oversubscribed_ ? 0 : kBarrierSpins;
    parts_.push_back(std::make_unique<Part>());
    parts_.back()->workers = workers;
    parts_.back()->barrier.reset(uint32_t(workers), spins);
    all_.reset(uint32_t(workers), spins);
    for (int index = 0; index < workers; index++)
        workers_.push_back({this, 0, index, workers, index, workers, -1});
}

// Decides the node of each part and the core of each worker.
void WorkerPool::place(const PoolOptions &options, const machine::Topology &topology) {
    std::map<int, std::vector<int>> free_cores;
    std::set<int> allowed;
    for (const machine::Core &core : topology.cores)
        free_cores[core.node].push_back(core.cpu), allowed.insert(core.cpu);
    const int workers = int(all_.members());
    for (int part = 0; part < parts(); part++) {
        Part &own = *parts_[size_t(part)];
        int node = topology.nodes[size_t(part) % topology.nodes.size()];
        if (!options.nodes.empty()) {
            node = options.nodes[size_t(part)];
            if (std::find(topology.nodes.begin(), topology.nodes.end(), node) ==
                topology.nodes.end())
                fail(KTB_ERR_ARGUMENT, "node %d has no core that this process may use", node);
        }
        own.node = topology.memory_nodes > 1 ? node : -1;
        own.barrier.reset(uint32_t(own.workers), oversubscribed_ ? 0 : kBarrierSpins);
        std::vector<int> &available = free_cores[node];
        for (int index = 0; index < own.workers; index++) {
            int cpu = -1;
            if (!options.cores.empty()) {
                const std::vector<int> &listed = options.cores[size_t(part)];
                if (size_t(index) < listed.size()) cpu = listed[size_t(index)];
                if (cpu >= 0 && allowed.count(cpu) == 0)
                    fail(KTB_ERR_ARGUMENT,
                         "core %d is not a physical core that this process may use", cpu);
            } else if (!oversubscribed_ && !available.empty()) {
                cpu = available.front();
                available.erase(available.begin());
            }
            workers_.push_back(
                {this, part, index, own.workers, int(workers_.size()), workers, cpu});
        }
    }
}

void WorkerPool::launch() {
    const BlockedSignals blocked;
    try {
        threads_.reserve(workers_.size());
        for (const Worker &worker : workers_)
            threads_.emplace_back([this, &worker] { loop(worker); });
    } catch (const std::system_error &error) {
        stop();
        fail(KTB_ERR_MEMORY, "cannot start worker %zu of %zu: %s", threads_.size() + 1,
             workers_.size(), error.what());
    }
}

void WorkerPool::stop() {
    stopping_.store(true, std::memory_order_release);
    for (const auto &part : parts_) part->step.advance();
    for (std::thread &thread : threads_) thread.join();
    threads_.clear();
}

void WorkerPool::start(const Step &step) {
    step_ = step;
    unfinished_.store(workers(), std::memory_order_relaxed);
    if (external_) {
        started_.fetch_add(1, std::memory_order_release);
        turn_.advance();
        return;
    }
    for (const auto &part : parts_) part->step.advance();
}

bool WorkerPool::acquire(int index, uint64_t ticket) {
    uint64_t none = 0;
    return places_[size_t(index)].holder.compare_exchange_strong(none, ticket,
                                                                 std::memory_order_acquire);
}

void WorkerPool::release(int index) {
    places_[size_t(index)].holder.store(0, std::memory_order_release);
}

uint64_t WorkerPool::holder(int index) const {
    return places_[size_t(index)].holder.load(std::memory_order_acquire);
}

bool WorkerPool::run_step(int index) {
    Place &place = places_[size_t(index)];
    if (started_.load(std::memory_order_acquire) == place.steps) return false;
    place.steps++; // the next step starts only when every worker has run this one
    const Step step = step_;
    step.run(step.context, workers_[size_t(index)]);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        step.finished(step.finished_context);
    return true;
}

// Waits for the next step: spins for spin_us, then sleeps.
uint32_t WorkerPool::next_step(Signal &signal, uint32_t seen) const {
    using Clock = std::chrono::steady_clock;
    if (spin_us_ > 0) {
        const auto until = Clock::now() + std::chrono::microseconds(spin_us_);
        do {
            for (int i = 0; i < 256; i++) {
                if (signal.value() != seen) return signal.value();
                cpu_pause();
            }
        } while (Clock::now() < until);
    }
    return signal.wait(seen, 0);
}

void WorkerPool::loop(const Worker &worker) {
    char name[16];
    std::snprintf(name, sizeof name, "ktb-%d-%d", worker.part % 1000, worker.index % 10000);
    pthread_setname_np(pthread_self(), name);
    if (worker.cpu >= 0) pin_this_thread(worker.cpu);
    Signal &signal = parts_[size_t(worker.part)]->step;
    uint32_t seen = 0;
    while (true) {
        seen = next_step(signal, seen);
        if (stopping_.load(std::memory_order_acquire)) return;
        const Step step = step_;
        step.run(step.context, worker);
        if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            step.finished(step.finished_context);
    }
}

} // namespace ds4::ktb
