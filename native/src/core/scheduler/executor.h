// The scheduler's view of an engine: it submits steps over sessions. Engine implements it. Tests
// put a fake in its place and check order, fairness and cancellation without a model.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "backend/step.h"
#include "base/cancellation.h"
#include "kv/mark.h"

struct ds4_session;

namespace ds4 {

struct StepItem {
    ds4_session *session;
    const int32_t *tokens; // [count], read by submit; null for a token that follows
    uint32_t count;        // >= 1
    int32_t follows = -1;  // as in StepSequence
    uint32_t logits = DS4_LOGITS_NONE;
    bool samples = false;
    CancelWatch cancel; // taken when the step was accepted
};

class Executor {
  public:
    virtual ~Executor() = default;
    // Throws ds4::Error or std::bad_alloc; then nothing was submitted. The sessions are in use
    // until the step is destroyed. The listener outlives it.
    virtual std::unique_ptr<Step> submit(Lane lane, std::span<const StepItem> items,
                                         StepListener &listener) = 0;
    virtual uint32_t vocab() const = 0;
    virtual uint32_t max_step_tokens() const = 0;
    virtual uint32_t position(const ds4_session *session) const = 0;
    virtual uint32_t capacity(const ds4_session *session) const = 0; // its context_tokens
    // Between the two calls a job owns the session, and its steps alone may change it. Claiming
    // throws DS4_ERR_ARGUMENT for a pointer that is no open session.
    virtual void claim(ds4_session *session) = 0;
    virtual void release_claim(ds4_session *session) noexcept = 0;
    // Whether the job that owns the session may submit a step of it now. False while another call
    // uses it, or waits for it since before the job asked; the listener is told when to ask again.
    // A yes keeps other calls out until end_planning.
    virtual bool may_step(ds4_session *session, StepListener &listener) noexcept = 0;
    // Whatever may_step allowed has been submitted, or will not be.
    virtual void end_planning() noexcept = 0;
    // The state of a session that a job owns and no step uses. Null if there is no memory for it,
    // or if another call uses the session at this moment.
    virtual std::shared_ptr<const Mark> mark(ds4_session *session) noexcept = 0;
    // A watch for the next step's item. Requests that come from now on cancel it.
    virtual CancelWatch watch(const ds4_session *session) const = 0;
    // May be called from any thread. A step of this session alone whose watch was taken before then
    // ends with DS4_ERR_CANCELLED at its next layer boundary.
    virtual void cancel(ds4_session *session) = 0;
};

} // namespace ds4
