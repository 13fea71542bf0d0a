// The scheduler's view of an engine: it runs steps over sessions. Engine implements it. Tests put a
// fake in its place and check order, fairness and cancellation without a model.
#pragma once
#include <cstdint>
#include <span>

#include "base/cancellation.h"

struct ds4_session;

namespace ds4 {

struct StepItem {
    ds4_session *session;
    const int32_t *tokens; // [count], valid until step returns
    uint32_t count;        // >= 1
    uint32_t logits;       // DS4_LOGITS_*; the scheduler asks for NONE or LAST
    CancelWatch cancel;    // taken when the step was accepted
};

class Executor {
  public:
    virtual ~Executor() = default;
    // logits: [rows asked for, vocab] f32 in item order, or null if none. Throws ds4::Error; then
    // no session has moved.
    virtual void step(std::span<const StepItem> items, float *logits) = 0;
    virtual uint32_t vocab() const = 0;
    virtual uint32_t max_step_tokens() const = 0;
    virtual uint32_t position(const ds4_session *session) const = 0;
    virtual uint32_t capacity(const ds4_session *session) const = 0; // its context_tokens
    // Between the two calls a job owns the session, and its steps alone may change it. Claiming
    // throws DS4_ERR_ARGUMENT for a pointer that is no open session.
    virtual void claim(ds4_session *session) = 0;
    virtual void release_claim(ds4_session *session) noexcept = 0;
    // A watch for the next step's item. Requests that come from now on cancel it.
    virtual CancelWatch watch(const ds4_session *session) const = 0;
    // May be called from any thread. A step of this session alone whose watch was taken before then
    // throws DS4_ERR_CANCELLED at its next layer boundary.
    virtual void cancel(ds4_session *session) = 0;
};

} // namespace ds4
