#include "core/engine.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "backend/open_backend.h"
#include "base/error.h"
#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

// Tokens of a caller's step that counts as decoding.
constexpr size_t kMaxDecodeTokens = 16;

} // namespace

Engine::Engine(const Model &model, const EngineOptions &options, ds4_engine *handle)
    : model_(model), options_(options), handle_(handle), backend_(open_backend(model, options)),
      scheduler_(*this) {}

// A session that is still open can be closed afterwards.
Engine::~Engine() {
    std::lock_guard lock(sessions_mutex_);
    for (ds4_session *session : sessions_) session->engine = nullptr;
}

ds4_session *Engine::open_session(uint32_t context_tokens, const Mark *mark) {
    auto session = std::make_unique<ds4_session>();
    session->state = backend_->open_sequence(context_tokens);
    if (mark != nullptr) session->state->resume(*mark);
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
    if (!sessions_.contains(session)) return;
    session->claimed = false;
    session->asked = 0, session->waits = nullptr; // a step that waited is not coming
    sessions_changed();
}

std::shared_ptr<const Mark> Engine::mark(ds4_session *session) noexcept {
    {
        const std::lock_guard lock(sessions_mutex_);
        if (!sessions_.contains(session) || session->busy || session->steps > 0) return nullptr;
        session->busy = true;
    }
    std::shared_ptr<const Mark> mark;
    try {
        mark = session->state->mark();
    } catch (const std::exception &) {
        mark = nullptr; // no memory: the job goes on without
    }
    const std::lock_guard lock(sessions_mutex_);
    session->busy = false;
    sessions_changed();
    return mark;
}

CancelWatch Engine::watch(const ds4_session *session) const {
    std::lock_guard lock(sessions_mutex_);
    check_open(session);
    return session->cancel.watch();
}

bool Engine::Hold::wants(const ds4_session *session) const {
    return std::find(sessions_.begin(), sessions_.end(), session) != sessions_.end();
}

// Nobody uses one of the sessions, and nobody who came earlier waits for one.
bool Engine::Hold::is_next() const {
    for (const ds4_session *session : sessions_) {
        engine_.check_open(session);
        if (session->busy || session->granted || session->steps > 0) return false;
        if (session->asked != 0 && session->asked < place_) return false;
    }
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
    place_ = ++engine_.calls_;
    engine_.waiting_.push_back(this);
    try {
        engine_.idle_.wait(lock, [&] { return is_next(); });
        check_owner();
    } catch (...) {
        std::erase(engine_.waiting_, this);
        engine_.sessions_changed();
        throw;
    }
    std::erase(engine_.waiting_, this);
    for (ds4_session *session : sessions_) session->busy = true;
}

Engine::Hold::~Hold() {
    const std::lock_guard lock(engine_.sessions_mutex_);
    for (ds4_session *session : sessions_) session->busy = false;
    engine_.sessions_changed();
}

void Engine::sessions_changed() noexcept {
    idle_.notify_all();
    for (ds4_session *session : sessions_)
        if (session->waits != nullptr) session->waits->step_done();
}

bool Engine::may_step(ds4_session *session, StepListener &listener) noexcept {
    const std::lock_guard lock(sessions_mutex_);
    if (!sessions_.contains(session)) return true; // submit refuses it with a text
    const uint64_t place = session->asked != 0 ? session->asked : calls_ + 1;
    const bool must_wait =
        session->busy || std::any_of(waiting_.begin(), waiting_.end(), [&](const Hold *hold) {
            return hold->place() < place && hold->wants(session);
        });
    session->asked = must_wait ? place : 0;
    session->waits = must_wait ? &listener : nullptr;
    if (must_wait) calls_ = std::max(calls_, place);
    session->granted = !must_wait;
    return !must_wait;
}

void Engine::end_planning() noexcept {
    const std::lock_guard lock(sessions_mutex_);
    bool any = false;
    for (ds4_session *session : sessions_) any = std::exchange(session->granted, false) || any;
    if (any) idle_.notify_all(); // whoever waited behind a step looks again
}

// A step of the scheduler's. Its sessions are in use for as long as it lives.
class Engine::JobStep : public Step {
  public:
    JobStep(Engine &engine, std::span<const StepItem> items) : engine_(engine) {
        for (const StepItem &item : items) sessions_.push_back(item.session);
        const std::lock_guard lock(engine_.sessions_mutex_);
        for (ds4_session *session : sessions_) session->steps++;
    }
    ~JobStep() override {
        inner_.reset(); // waits until the backend has done with the sequences
        const std::lock_guard lock(engine_.sessions_mutex_);
        for (ds4_session *session : sessions_) session->steps--;
        engine_.sessions_changed();
    }
    void begin(Lane lane, StepPlan plan) {
        inner_ = engine_.backend_->submit(lane, std::move(plan));
    }
    void control(std::span<const SamplingControl> records) override { inner_->control(records); }
    bool is_done() const override { return inner_->is_done(); }
    const StepResult &await() override { return inner_->await(); }
    void commit(std::span<const uint32_t> kept) override { inner_->commit(kept); }

  private:
    Engine &engine_;
    std::vector<ds4_session *> sessions_;
    std::unique_ptr<Step> inner_;
};

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
        // A token that follows comes after the one that the step before it takes.
        const uint32_t position = item.session->state->position() + (item.follows >= 0 ? 1 : 0),
                       capacity = item.session->state->capacity();
        if (position > capacity || item.count > capacity - position)
            fail(DS4_ERR_CONTEXT_FULL,
                 "%u tokens at position %u exceed the session's context of %u tokens", item.count,
                 position, capacity);
        for (uint32_t t = 0; item.follows < 0 && t < item.count; t++)
            if (item.tokens[t] < 0 || item.tokens[t] >= model_.shape().vocab)
                fail(DS4_ERR_ARGUMENT, "token id %d at index %u is outside the vocabulary of %d",
                     item.tokens[t], t, model_.shape().vocab);
    }
    if (total > options_.max_step_tokens)
        fail(DS4_ERR_ARGUMENT,
             "%llu new tokens in one step; this engine takes %u (max_step_tokens)",
             (unsigned long long)total, options_.max_step_tokens);
}

StepPlan Engine::plan_of(std::span<const StepItem> items) const {
    if (items.empty()) fail(DS4_ERR_ARGUMENT, "a step needs at least one item");
    check(items);
    StepPlan plan;
    plan.sequences.reserve(items.size());
    for (const StepItem &item : items) {
        plan.sequences.push_back({item.session->state.get(), item.count, item.follows, item.logits,
                                  item.samples, item.cancel});
        if (item.follows >= 0)
            plan.tokens.push_back(-1);
        else
            plan.tokens.insert(plan.tokens.end(), item.tokens, item.tokens + item.count);
    }
    return plan;
}

std::unique_ptr<Step> Engine::submit(Lane lane, std::span<const StepItem> items,
                                     StepListener &listener) {
    StepPlan plan = plan_of(items);
    plan.trace = &trace_;
    plan.listener = &listener;
    auto step = std::make_unique<JobStep>(*this, items);
    step->begin(lane, std::move(plan));
    return step;
}

void Engine::step_apart(std::span<const StepItem> items, float *logits) {
    std::vector<StepItem> accepted(items.begin(), items.end());
    std::vector<ds4_session *> sessions;
    std::vector<uint32_t> kept;
    for (StepItem &item : accepted) {
        item.cancel = watch(item.session);
        sessions.push_back(item.session);
        kept.push_back(item.count);
    }
    const Hold hold(*this, sessions, Access::apart);
    StepPlan plan = plan_of(accepted);
    plan.logits = logits;
    plan.trace = &trace_;
    const Lane lane = plan.tokens.size() <= kMaxDecodeTokens ? Lane::decode : Lane::prefill;
    const std::unique_ptr<Step> step = backend_->submit(lane, std::move(plan));
    step->commit(kept);
    const StepResult &result = step->await();
    if (result.status != DS4_OK) throw Error(result.status, result.text.c_str());
}

std::string Engine::describe() const {
    static const char *const names[] = {"fast", "trained", "plain"};
    return std::string("{") + backend_->describe() + ",\"numerics\":\"" + names[options_.numerics] +
           "\",\"switches\":" + std::to_string(options_.switches) +
           ",\"max_step_tokens\":" + std::to_string(options_.max_step_tokens) +
           ",\"mapped_bytes\":" + std::to_string(model_.mapped_bytes()) + "}";
}

} // namespace ds4
