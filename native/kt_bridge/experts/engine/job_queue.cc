#include "experts/engine/job_queue.h"

#include <chrono>

#include "machine/topology.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

constexpr size_t kKeptFailures = 64;
using Clock = std::chrono::steady_clock;

timespec timespec_of(Clock::duration time) {
    const int64_t nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    return {time_t(nanoseconds / 1000000000), long(nanoseconds % 1000000000)};
}

} // namespace

JobQueue::JobQueue(const PoolOptions &options)
    : pool_(std::make_unique<WorkerPool>(options, machine::read_topology())) {}

uint64_t JobQueue::submit(std::unique_ptr<PoolJob> job) {
    uint64_t ticket = 0;
    {
        const std::lock_guard<std::mutex> lock(lock_);
        queue_.push_back(std::move(job));
        queue_.back()->queued();
        ticket = ++last_ticket_;
        if (running_) return ticket;
        running_ = true;
    }
    advance();
    return ticket;
}

// Starts the next step of the first job, and completes jobs that have none left. It runs on the
// submitting thread when the queue was idle, else on the worker that finished the previous step. It
// never runs on two threads at once.
void JobQueue::advance() {
    bool more = true;
    while (more) {
        PoolJob *job = nullptr;
        {
            const std::lock_guard<std::mutex> lock(lock_);
            job = queue_.front().get();
        }
        int code = 0;
        std::string text;
        try {
            if (start_next(*job)) return;
        } catch (const ExpertError &error) {
            code = error.code(), text = error.what();
        } catch (const std::exception &error) {
            code = KTB_ERR_MEMORY,
            text = std::string("out of memory while planning: ") + error.what();
        }
        more = complete(code, text);
    }
}

bool JobQueue::start_next(PoolJob &job) {
    WorkerPool::Step step;
    if (!job.next(step)) return false;
    step.finished = [](void *context) { static_cast<JobQueue *>(context)->advance(); };
    step.finished_context = this;
    pool_->start(step);
    return true;
}

// Publishes the end of the first job; false when the queue is empty.
bool JobQueue::complete(int code, const std::string &text) {
    bool more = false;
    {
        const std::lock_guard<std::mutex> lock(lock_);
        const uint64_t ticket = completed_.load() + 1;
        queue_.front()->finish(code);
        queue_.pop_front();
        if (code != 0) failures_.push_back({ticket, code, text});
        if (failures_.size() > kKeptFailures) failures_.pop_front();
        more = !queue_.empty();
        running_ = more;
        completed_.store(ticket, std::memory_order_release);
    }
    done_.advance();
    if (pool_->external()) pool_->next_turn();
    return more;
}

void JobQueue::check_given(uint64_t ticket) const {
    const std::lock_guard<std::mutex> lock(lock_);
    if (ticket == 0 || ticket > last_ticket_)
        fail(KTB_ERR_ARGUMENT, "ticket %llu was never given; the last one is %llu",
             (unsigned long long)ticket, (unsigned long long)last_ticket_);
}

void JobQueue::check_failed(uint64_t ticket) const {
    const std::lock_guard<std::mutex> lock(lock_);
    for (const Failure &failure : failures_)
        if (failure.ticket == ticket) throw ExpertError(failure.code, failure.text);
}

int JobQueue::wait(uint64_t ticket, int timeout_ms) {
    check_given(ticket);
    const auto begin = Clock::now();
    // A caller with a core of its own spins. On a full machine it would take a worker's core.
    const auto spin_until =
        begin +
        std::chrono::microseconds(pool_->fills_machine() || timeout_ms == 0 ? 0 : pool_->spin_us());
    while (!is_done(ticket)) {
        const uint32_t seen = done_.value();
        if (is_done(ticket)) break;
        const auto now = Clock::now();
        if (timeout_ms >= 0 && now - begin >= std::chrono::milliseconds(timeout_ms)) return 1;
        if (now < spin_until) {
            for (int i = 0; i < 64; i++) cpu_pause();
        } else if (timeout_ms < 0) {
            done_.sleep(seen, nullptr);
        } else {
            const timespec left =
                timespec_of(std::chrono::milliseconds(timeout_ms) - (now - begin));
            done_.sleep(seen, &left);
        }
    }
    check_failed(ticket);
    return 0;
}

} // namespace ds4::ktb
