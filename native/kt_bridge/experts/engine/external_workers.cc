// The part of a job queue whose workers are threads of the caller.
#include <thread>

#include "experts/engine/job_queue.h"
#include "pool/expert_error.h"
#include "pool/substitute_threads.h"

namespace ds4::ktb {
namespace {

constexpr uint64_t kBlockingCall = UINT64_MAX; // holder of places that no ticket ever has

} // namespace

// Holds external workers' places [begin, end). A thread whose ticket is done is about to leave its
// place, and is waited for. Any other means two threads for one worker, which would leave another
// worker's share undone.
class JobQueue::HeldPlaces {
  public:
    HeldPlaces(JobQueue &queue, int begin, int end, uint64_t ticket)
        : queue_(queue), begin_(begin), end_(begin) {
        for (; end_ < end; end_++)
            while (!queue.pool_->acquire(end_, ticket)) {
                const uint64_t holder = queue.pool_->holder(end_);
                if (queue.is_done(holder)) {
                    std::this_thread::yield();
                    continue;
                }
                release();
                fail(KTB_ERR_STATE, "worker %d is at work already: %s", end_,
                     holder == kBlockingCall
                         ? "a blocking call of this engine has all of them"
                         : "another thread is in ktb_engine_work with its number");
            }
    }
    ~HeldPlaces() { release(); }
    HeldPlaces(const HeldPlaces &) = delete;

  private:
    void release() {
        for (int index = begin_; index < end_; index++) queue_.pool_->release(index);
    }
    JobQueue &queue_;
    int begin_, end_;
};

// A call that blocks until its job is done. It brings threads of its own where workers are
// external.
class JobQueue::BlockingCall {
  public:
    explicit BlockingCall(JobQueue &queue) : queue_(queue) {
        if (!queue.pool_->external()) return;
        turn_ = std::unique_lock<std::mutex>(queue.blocking_);
        places_ = std::make_unique<HeldPlaces>(queue, 0, queue.pool_->workers(), kBlockingCall);
        substitutes_ = std::make_unique<SubstituteThreads>(queue.pool_->workers());
    }
    void finish(uint64_t ticket) const {
        if (substitutes_ != nullptr)
            substitutes_->run([&](int index) { queue_.run_steps(index, ticket); });
        queue_.wait(ticket, -1);
    }

  private:
    JobQueue &queue_;
    std::unique_lock<std::mutex> turn_;
    std::unique_ptr<HeldPlaces> places_;
    std::unique_ptr<SubstituteThreads> substitutes_;
};

JobQueue::~JobQueue() {
    for (int index = 0; pool_->external() && index < pool_->workers(); index++)
        while (!pool_->acquire(index, kBlockingCall)) std::this_thread::yield();
}

void JobQueue::run_blocking(const std::function<std::unique_ptr<PoolJob>()> &make) {
    const BlockingCall call(*this);
    call.finish(submit(make()));
}

void JobQueue::work(int index, uint64_t ticket) {
    if (!pool_->external())
        fail(KTB_ERR_STATE, "this engine has workers of its own: wait for the ticket");
    if (index < 0 || index >= pool_->workers())
        fail(KTB_ERR_ARGUMENT, "worker %d is outside 0..%d", index, pool_->workers() - 1);
    check_given(ticket);
    const HeldPlaces place(*this, index, index + 1, ticket);
    run_steps(index, ticket);
    check_failed(ticket);
}

void JobQueue::run_steps(int index, uint64_t ticket) {
    while (true) {
        const uint32_t seen = pool_->turn();
        if (is_done(ticket)) return;
        if (!pool_->run_step(index)) pool_->wait_turn(seen);
    }
}

} // namespace ds4::ktb
