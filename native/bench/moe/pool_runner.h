// Steps on pinned workers, as the expert library runs them. Everything that its kernels are
// compared with uses the same cores.
#pragma once
#include "pool/worker_pool.h"
#include "machine/topology.h"

namespace ds4::bench {

// Busy wait of an idle worker in microseconds; -1: the library's choice. On a machine that is not
// full, that choice is longer than a turn of the benchmark. Workers of several pools share their
// cores here.
inline int64_t spin_us(int threads) {
    return threads >= machine::read_topology().usable ? -1 : 2000;
}

class PoolRunner {
  public:
    PoolRunner(int threads, int parts) : pool_(options(threads, parts), machine::read_topology()) {}

    // Runs step(worker) on every worker and waits for all.
    template <typename Step> void run(const Step &step) {
        const uint32_t seen = done_.value();
        pool_.start({[](void *context, const ktb::Worker &worker) {
                         (*static_cast<const Step *>(context))(worker);
                     },
                     const_cast<Step *>(&step),
                     [](void *self) { static_cast<PoolRunner *>(self)->done_.advance(); }, this});
        done_.wait(seen, pool_.fills_machine() ? 0 : 20000);
    }
    int workers() const { return pool_.workers(); }

  private:
    static ktb::PoolOptions options(int threads, int parts) {
        ktb::PoolOptions options;
        options.threads = threads;
        options.parts = parts;
        options.spin_us = spin_us(threads);
        return options;
    }
    ktb::Signal done_;
    ktb::WorkerPool pool_;
};

} // namespace ds4::bench
