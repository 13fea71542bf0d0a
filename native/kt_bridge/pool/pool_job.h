// One entry of an engine's queue.
#pragma once
#include "pool/worker_pool.h"

namespace ds4::ktb {

class PoolJob {
  public:
    virtual ~PoolJob() = default;
    // Called while no worker runs. Sets run and context of the next step; false when the job is
    // complete. May throw.
    virtual bool next(WorkerPool::Step &step) = 0;
    // Called once, when the job has its place in the queue. From here on its layers count it as
    // pending, until `finish`.
    virtual void queued() noexcept = 0;
    // Called once, after the last step or after a failure, before the ticket counts as done.
    virtual void finish(int code) = 0;
};

} // namespace ds4::ktb
