// The threads of one engine. They belong to parts, one per NUMA node or simulated, each with pinned
// workers. A step is one function that every worker runs once. The last worker to finish calls
// `finished` and may start the next step there. With external workers the pool has no threads, and
// the caller's threads run each step through run_step.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "pool/futex.h"
#include "machine/topology.h"

namespace ds4::ktb {

struct PoolOptions {
    int threads = 0;                     // workers in all; 0: usable cores but one
    int parts = 0;                       // 0: one per node of the process
    std::vector<int> nodes;              // node of each part; empty: dealt round robin
    std::vector<std::vector<int>> cores; // cores of each part; empty: chosen
    int64_t spin_us = -1;                // busy wait of an idle worker; -1: chosen
    int external = 0; // threads of the caller instead of all of the above; 0: none
};

class WorkerPool;
struct Worker {
    WorkerPool *pool;
    int part;
    int index; // within the part
    int part_workers;
    int global_index; // over all parts
    int workers;      // over all parts
    int cpu;          // pinned to, -1 when it shares cores
};

class WorkerPool {
  public:
    // Throws KTB_ERR_ARGUMENT for impossible numbers and KTB_ERR_MEMORY when threads cannot be
    // started.
    WorkerPool(const PoolOptions &options, const machine::Topology &topology);
    ~WorkerPool(); // joins; no step may be running
    WorkerPool(const WorkerPool &) = delete;

    struct Step {
        void (*run)(void *context, const Worker &worker) = nullptr;
        void *context = nullptr;
        void (*finished)(void *context) = nullptr; // on the last worker
        void *finished_context = nullptr;
    };
    void start(const Step &step); // no step may be running
    // External workers: a place is held by the ticket that its thread works for. acquire is false
    // when another ticket holds it.
    bool acquire(int index, uint64_t ticket);
    void release(int index);
    uint64_t holder(int index) const; // 0: none
    // Runs the started step as worker `index`, whose place is held. False when it has run the step,
    // or when none has started.
    bool run_step(int index);
    uint32_t turn() const { return turn_.value(); }
    void wait_turn(uint32_t seen) { turn_.wait(seen, oversubscribed_ ? 0 : kBarrierSpins); }
    void next_turn() { turn_.advance(); } // `start` advances the turn too
    void part_barrier(const Worker &worker) { parts_[size_t(worker.part)]->barrier.arrive(); }
    void barrier() { all_.arrive(); }

    int parts() const { return int(parts_.size()); }
    int workers() const { return int(workers_.size()); }
    int part_workers(int part) const { return parts_[size_t(part)]->workers; }
    int part_node(int part) const { return parts_[size_t(part)]->node; } // -1: memory is not bound
    const std::vector<Worker> &list() const { return workers_; }
    bool oversubscribed() const { return oversubscribed_; } // more workers than cores
    bool fills_machine() const { return fills_machine_; }   // no core is left to the caller
    bool external() const { return external_; }
    int64_t spin_us() const { return spin_us_; }

  private:
    static constexpr uint32_t kBarrierSpins = 20000;
    struct alignas(64) Place {
        std::atomic<uint64_t> holder{0};
        uint32_t steps = 0; // steps run here; only the holder touches it
    };
    struct Part {
        Signal step; // advanced once per step
        Barrier barrier;
        int workers = 0;
        int node = -1;
    };
    void plan(const PoolOptions &options, const machine::Topology &topology);
    void place(const PoolOptions &options, const machine::Topology &topology);
    void plan_external(const PoolOptions &options, const machine::Topology &topology);
    void launch();
    void stop();
    void loop(const Worker &worker);
    uint32_t next_step(Signal &signal, uint32_t seen) const;

    std::vector<std::unique_ptr<Part>> parts_;
    std::vector<Worker> workers_;
    std::vector<std::thread> threads_;
    Barrier all_;
    std::unique_ptr<Place[]> places_;  // of external workers
    std::atomic<uint32_t> started_{0}; // steps of external workers
    Signal turn_; // external workers: advanced when a step starts and when a job ends
    Step step_;
    std::atomic<bool> stopping_{false};
    alignas(64) std::atomic<int> unfinished_{0};
    bool oversubscribed_ = false;
    bool fills_machine_ = false;
    bool external_ = false;
    int64_t spin_us_ = 0;
};

} // namespace ds4::ktb
