#include "pool/worker_pool.h"

#include "base/test.h"
#include "machine/topology.h"

using namespace ds4::ktb;

TEST("an external worker runs a step once, and none before it has started") {
    PoolOptions options;
    options.external = 1;
    WorkerPool pool(options, ds4::machine::read_topology());
    int runs = 0, ends = 0;
    WorkerPool::Step step;
    step.run = [](void *context, const Worker &) { ++*static_cast<int *>(context); };
    step.context = &runs;
    step.finished = [](void *context) { ++*static_cast<int *>(context); };
    step.finished_context = &ends;
    CHECK(!pool.run_step(0));
    for (int started = 1; started <= 3; started++) {
        pool.start(step);
        CHECK(pool.run_step(0) && !pool.run_step(0));
        CHECK(runs == started && ends == started);
    }
}

TEST("an external worker's place has one holder") {
    PoolOptions options;
    options.external = 2;
    WorkerPool pool(options, ds4::machine::read_topology());
    CHECK(pool.acquire(0, 7) && !pool.acquire(0, 8) && pool.holder(0) == 7 && pool.holder(1) == 0);
    CHECK(pool.acquire(1, 7));
    pool.release(0);
    CHECK(pool.acquire(0, 8));
}
