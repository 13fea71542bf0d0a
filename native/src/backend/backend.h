// The interface between core and a device. A backend owns kernels, workspace and the memory of
// sessions; it knows nothing of jobs or files. It takes whole steps, never a single operator: a GPU
// captures a step as a graph and fuses across operators. Up to two steps of a lane are in flight,
// so that a device need not wait for the host between two tokens.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/step.h"
#include "kv/mark.h"

namespace ds4 {

// One sequence on a device: cache rows, compressor state, tokens so far. Only the commit of a
// step advances it.
class SequenceState {
  public:
    virtual ~SequenceState() = default;
    // These five may be called from any thread, also while a step runs.
    virtual uint32_t position() const = 0;
    virtual uint32_t capacity() const = 0; // tokens
    virtual uint64_t bytes() const = 0;
    virtual uint64_t snapshot_bytes() const = 0;
    // The longest step of which a part may become current; of a longer one, all or nothing may.
    virtual uint32_t max_partial_step() const = 0;

    virtual void reset() = 0;
    // The state at this position. Throws std::bad_alloc or Error(DS4_ERR_DEVICE_MEMORY). Steps
    // that follow leave the mark as it is.
    virtual std::shared_ptr<const Mark> mark() = 0;
    // Goes on from any mark of the same backend. Throws and keeps its state:
    // Error(DS4_ERR_ARGUMENT) for a mark of another backend, Error(DS4_ERR_CONTEXT_FULL) for one
    // past the capacity.
    virtual void resume(const Mark &mark) = 0;
    // Comes back to a mark at a position that it has passed with the same tokens. Throws
    // Error(DS4_ERR_ARGUMENT) for another mark and keeps its state.
    virtual void cut(const Mark &mark) = 0;
};

class Backend {
  public:
    virtual ~Backend() = default;
    virtual std::unique_ptr<SequenceState> open_sequence(uint32_t context_tokens) = 0;
    virtual PagePool &pages() const = 0; // of all its sequences
    // The first act of a step; returns at once. The sequences outlive the step. A sequence is in
    // one lane at a time, and in its next step before that only where a token follows.
    virtual std::unique_ptr<Step> submit(Lane lane, StepPlan plan) = 0;
    virtual std::string describe() const = 0; // JSON object members, without braces
};

} // namespace ds4
