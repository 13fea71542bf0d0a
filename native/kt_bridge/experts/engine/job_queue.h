// The workers of an engine, and the jobs that run on them one after another.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "pool/pool_job.h"
#include "pool/worker_pool.h"

namespace ds4::ktb {

class JobQueue {
  public:
    explicit JobQueue(const PoolOptions &options);
    // Threads of external workers must have left before. The destructor waits for those whose work
    // is done.
    ~JobQueue();

    // Queues a job; returns its ticket. What the job works on must not go before it counts as
    // pending (see PoolJob).
    uint64_t submit(std::unique_ptr<PoolJob> job);
    // 0 done, 1 timeout; throws the error of a failed job. timeout_ms < 0: no limit.
    int wait(uint64_t ticket, int timeout_ms);
    // Submits the job that `make` gives and waits for it. External workers are replaced by threads
    // of the call, which are there before anything is queued.
    void run_blocking(const std::function<std::unique_ptr<PoolJob>()> &make);
    // External workers: runs the work of `ticket` as worker `index`; throws the error of a failed
    // job.
    void work(int index, uint64_t ticket);
    WorkerPool &pool() const { return *pool_; }

  private:
    class HeldPlaces;
    class BlockingCall;
    void advance();
    bool start_next(PoolJob &job);
    bool complete(int code, const std::string &text);
    bool is_done(uint64_t ticket) const {
        return completed_.load(std::memory_order_acquire) >= ticket;
    }
    void check_failed(uint64_t ticket) const;
    void check_given(uint64_t ticket) const;
    void run_steps(int index, uint64_t ticket);

    struct Failure {
        uint64_t ticket;
        int code;
        std::string text;
    };
    mutable std::mutex lock_;
    std::mutex blocking_; // external workers: one blocking call at a time
    std::deque<std::unique_ptr<PoolJob>> queue_;
    bool running_ = false;
    uint64_t last_ticket_ = 0;
    std::atomic<uint64_t> completed_{0};
    std::deque<Failure> failures_; // the newest ones
    Signal done_;
    std::unique_ptr<WorkerPool> pool_; // last: its threads use everything above
};

} // namespace ds4::ktb
