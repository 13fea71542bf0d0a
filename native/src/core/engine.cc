#include "core/engine.h"

#include <algorithm>
#include <unordered_map>

#include "backend/open_backend.h"
#include "base/fail.h"
#include "ds4.h"

namespace ds4 {

Engine::Engine(const Model &model, const EngineOptions &options, ds4_engine *handle)
    : model_(model), options_(options), handle_(handle), backend_(open_backend(model, options)),
      scheduler_(*this) {}

// A session that is still open can be closed afterwards.
Engine::~Engine() {
    std::lock_guard lock(sessions_mutex_);
    for (ds4_session *session : sessions_) session->engine = nullptr;
}

ds4_session *Engine::open_session(uint32_t context_tokens) {
    auto session = std::make_unique<ds4_session>();
    session->state = backend_->open_sequence(context_tokens);
    session->engine = handle_;
    std::lock_guard lock(sessions_mutex_);
    sessions_.insert(session.get());
    return session.release();
}

void Engine::close_session(ds4_session *session) {
    scheduler_.release(session);
    {
        const Hold hold(*this, {&session, 1}, Access::of_job);
        std::lock_guard lock(sessions_mutex_);
        sessions_.erase(session);
    }
    delete session;
}

void Engine::check_open(const ds4_session *session) const {
    if (!sessions_.contains(const_cast<ds4_session *>(session)))
        fail(DS4_ERR_ARGUMENT, "not an open session of this engine");
}

uint32_t Engine::position(const ds4_session *session) const {
    std::lock_guard lock(sessions_mutex_);
    check_open(session);
    return session->state->position();
}

uint32_t Engine::capacity(const ds4_session *session) const {
    std::lock_guard lock(sessions_mutex_);
    check_open(session);
    return session->state->capacity();
}

void Engine::cancel(ds4_session *session) {
    std::lock_guard lock(sessions_mutex_);
    if (sessions_.contains(session)) session->cancel.request();
}

void Engine::claim(ds4_session *session) {
    std::lock_guard lock(sessions_mutex_);
    check_open(session);
    session->claimed = true;
}

void Engine::release_claim(ds4_session *session) noexcept {
    std::lock_guard lock(sessions_mutex_);
    if (sessions_.contains(session)) session->claimed = false;
}

CancelWatch Engine::watch(const ds4_session *session) const {
    std::lock_guard lock(sessions_mutex_);
    check_open(session);
    return session->cancel.watch();
}

bool Engine::Hold::wants(const ds4_session *session) const {
    return std::find(sessions_.begin(), sessions_.end(), session) != sessions_.end();
}

// Nobody owns one of the sessions, and nobody who came earlier waits for one.
bool Engine::Hold::is_next() const {
    for (const ds4_session *session : sessions_) engine_.check_open(session);
    if (std::any_of(sessions_.begin(), sessions_.end(),
                    [](const ds4_session *session) { return session->busy; }))
        return false;
    for (const Hold *earlier : engine_.waiting_) {
        if (earlier == this) return true;
        for (const ds4_session *session : sessions_)
            if (earlier->wants(session)) return false;
    }
    return true;
}

Engine::Hold::Hold(Engine &engine, std::span<ds4_session *const> sessions, Access access)
    : engine_(engine), sessions_(sessions.begin(), sessions.end()) {
    std::unique_lock lock(engine_.sessions_mutex_);
    const auto check_owner = [&] {
        for (const ds4_session *session : sessions_) {
            engine_.check_open(session);
            if (access == Access::apart && session->claimed)
                fail(DS4_ERR_ARGUMENT, "the session belongs to a running job; cancel the job and "
                                       "poll until its status is terminal");
        }
    };
    check_owner(); // before the wait too, which would last for a whole step of the job
    engine_.waiting_.push_back(this);
    try {
        engine_.idle_.wait(lock, [&] { return is_next(); });
        check_owner();
    } catch (...) {
        std::erase(engine_.waiting_, this);
        engine_.idle_.notify_all();
        throw;
    }
    std::erase(engine_.waiting_, this);
    for (ds4_session *session : sessions_) session->busy = true;
}

Engine::Hold::~Hold() {
    {
        std::lock_guard lock(engine_.sessions_mutex_);
        for (ds4_session *session : sessions_) session->busy = false;
    }
    engine_.idle_.notify_all();
}

// Refuses all faults of the caller before any session moves. The caller owns the sessions.
void Engine::check(std::span<const StepItem> items) const {
    uint64_t total = 0;
    std::unordered_map<const ds4_session *, size_t> first;
    for (size_t i = 0; i < items.size(); i++) {
        const StepItem &item = items[i];
        if (const auto [same, is_new] = first.emplace(item.session, i); !is_new)
            fail(DS4_ERR_ARGUMENT, "items %zu and %zu are the same session", same->second, i);
        if (item.count == 0) fail(DS4_ERR_ARGUMENT, "item %zu has no tokens", i);
        if (item.logits > DS4_LOGITS_ALL)
            fail(DS4_ERR_ARGUMENT, "item %zu: logits is %u; expected 0..2", i, item.logits);
        total += item.count;
        const uint32_t position = item.session->state->position(),
                       capacity = item.session->state->capacity();
        if (item.count > capacity - position)
            fail(DS4_ERR_CONTEXT_FULL,
                 "%u tokens at position %u exceed the session's context of %u tokens", item.count,
                 position, capacity);
        for (uint32_t t = 0; t < item.count; t++)
            if (item.tokens[t] < 0 || item.tokens[t] >= model_.shape().vocab)
                fail(DS4_ERR_ARGUMENT, "token id %d at index %u is outside the vocabulary of %d",
                     item.tokens[t], t, model_.shape().vocab);
    }
    if (total > options_.max_step_tokens)
        fail(DS4_ERR_ARGUMENT,
             "%llu new tokens in one step; this engine takes %u (max_step_tokens)",
             (unsigned long long)total, options_.max_step_tokens);
}

void Engine::step(std::span<const StepItem> items, float *logits) {
    run_step(items, logits, Access::of_job);
}

void Engine::step_apart(std::span<const StepItem> items, float *logits) {
    std::vector<StepItem> accepted(items.begin(), items.end());
    for (StepItem &item : accepted) item.cancel = watch(item.session);
    run_step(accepted, logits, Access::apart);
}

void Engine::run_step(std::span<const StepItem> items, float *logits, Access access) {
    if (items.empty()) fail(DS4_ERR_ARGUMENT, "a step needs at least one item");
    std::vector<ds4_session *> sessions;
    for (const StepItem &item : items) sessions.push_back(item.session);
    const Hold hold(*this, sessions, access);
    std::lock_guard lock(step_mutex_);
    check(items);
    std::vector<SequenceStep> sequences;
    sequences.reserve(items.size());
    for (const StepItem &item : items)
        sequences.push_back(
            {item.session->state.get(), item.tokens, item.count, item.logits, item.cancel});
    if (trace_) trace_->clear();
    backend_->step(sequences, logits, trace_.get());
}

void Engine::enable_trace(bool enabled) {
    std::lock_guard lock(step_mutex_);
    trace_ = enabled ? std::make_unique<Trace>() : nullptr;
}

std::string Engine::describe() const {
    static const char *const names[] = {"fast", "trained", "plain"};
    return std::string("{") + backend_->describe() + ",\"numerics\":\"" + names[options_.numerics] +
           "\",\"switches\":" + std::to_string(options_.switches) +
           ",\"max_step_tokens\":" + std::to_string(options_.max_step_tokens) +
           ",\"mapped_bytes\":" + std::to_string(model_.mapped_bytes()) + "}";
}

} // namespace ds4
