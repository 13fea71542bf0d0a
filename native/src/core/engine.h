// A model on a backend, its sessions and its scheduler.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "backend/engine_options.h"
#include "core/scheduler/executor.h"
#include "core/scheduler/scheduler.h"
#include "core/session.h"
#include "kv/snapshot_reader.h"
#include "base/trace.h"
#include "model/model.h"

namespace ds4 {

class Engine : public Executor {
  public:
    Engine(const Model &model, const EngineOptions &options, ds4_engine *handle);
    ~Engine() override;

    // mark: null for a session at position 0.
    ds4_session *open_session(uint32_t context_tokens, const Mark *mark);
    void close_session(ds4_session *session);

    // Executor, for the scheduler: the sessions belong to its jobs.
    std::unique_ptr<Step> submit(Lane lane, std::span<const StepItem> items,
                                 StepListener &listener) override;
    void claim(ds4_session *session) override;
    void release_claim(ds4_session *session) noexcept override;
    bool may_step(ds4_session *session, StepListener &listener) noexcept override;
    void end_planning() noexcept override;
    std::shared_ptr<const Mark> mark(ds4_session *session) noexcept override;
    CancelWatch watch(const ds4_session *session) const override;
    uint32_t vocab() const override { return uint32_t(model_.shape().vocab); }
    uint32_t max_step_tokens() const override { return options_.max_step_tokens; }
    // Throw DS4_ERR_ARGUMENT for a pointer that is no open session of this engine.
    uint32_t position(const ds4_session *session) const override;
    uint32_t capacity(const ds4_session *session) const override;
    void cancel(ds4_session *session) override; // does nothing for such a pointer

    TraceSlot &trace() { return trace_; }
    // All four acts of a step for a caller of its own; blocks. logits: [rows asked for, vocab] f32
    // in item order, or null if none are asked for. Throws Error, with DS4_ERR_ARGUMENT if a job
    // owns one of the sessions; then no session has moved.
    void step_apart(std::span<const StepItem> items, float *logits);
    // Runs body while nothing else uses the session, in the order of the calls; steps of other
    // sessions go on. Throws DS4_ERR_ARGUMENT if a job owns it.
    template <typename Body> void change_session(ds4_session *session, const Body &body) {
        const Hold hold(*this, {&session, 1}, Access::apart);
        body(*session->state);
    }
    // The session's state between two of its steps. A job that owns it goes on, and submits no step
    // until the call has had its turn.
    std::shared_ptr<const Mark> mark_session(ds4_session *session) {
        const Hold hold(*this, {&session, 1}, Access::of_job);
        return session->state->mark();
    }
    SnapshotReader snapshot_reader() const {
        return {backend_->pages().shared_from_this(), model_.shape().context_tokens};
    }
    // Bytes of all pages and recent rows, each counted once.
    uint64_t cache_bytes() const { return backend_->pages().bytes(); }
    // Bytes by which they may grow.
    uint64_t cache_room() const { return backend_->pages().room(); }
    Scheduler &scheduler() { return scheduler_; }
    std::string describe() const; // JSON

  private:
    // of_job: the caller changes nothing, or is the job that owns the sessions.
    enum class Access { apart, of_job };
    // Owns sessions for the length of a call. Calls that want the same session are served in the
    // order in which they came. Throws for a pointer that is no open session of this engine, and
    // for access apart from the job that owns a session.
    class Hold {
      public:
        Hold(Engine &engine, std::span<ds4_session *const> sessions, Access access);
        ~Hold();
        uint64_t place() const { return place_; } // in the order of calls
        bool wants(const ds4_session *session) const;

      private:
        bool is_next() const; // the caller holds sessions_mutex_
        Engine &engine_;
        std::vector<ds4_session *> sessions_;
        uint64_t place_ = 0;
    };
    class JobStep;
    StepPlan plan_of(std::span<const StepItem> items) const;
    void check(std::span<const StepItem> items) const;
    void check_open(const ds4_session *session) const; // the caller holds sessions_mutex_
    // Wakes the calls that wait, and tells the jobs whose steps waited.
    void sessions_changed() noexcept;

    const Model &model_;
    EngineOptions options_;
    ds4_engine *handle_;
    std::unique_ptr<Backend> backend_;
    mutable std::mutex sessions_mutex_;
    std::condition_variable idle_;               // notified when a session is less in use
    std::vector<const Hold *> waiting_;          // in the order of their calls
    uint64_t calls_ = 0;                         // places given
    std::unordered_set<ds4_session *> sessions_; // all open ones
    TraceSlot trace_;
    Scheduler scheduler_; // last: its thread uses everything above
};

} // namespace ds4

struct ds4_engine {
    std::unique_ptr<ds4::Engine> engine;
    // From one struct of the caller's arrays to the next.
    uint32_t step_item_bytes, job_token_bytes;
    ds4::Scheduler &scheduler() { return engine->scheduler(); }
};
