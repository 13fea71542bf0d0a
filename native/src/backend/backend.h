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
    virtual void snapshot(uint8_t *out) const = 0; // snapshot_bytes() bytes
    // Throws Error(DS4_ERR_FORMAT) and leaves the state as it was if the bytes are not a snapshot
    // for this model and numerics.
    virtual void restore(std::span<const uint8_t> bytes) = 0;
};

class Backend {
  public:
    virtual ~Backend() = default;
    virtual std::unique_ptr<SequenceState> open_sequence(uint32_t context_tokens) = 0;
    // The first act of a step; returns at once. The sequences outlive the step. A sequence is in
    // one lane at a time, and in its next step before that only where a token follows.
    virtual std::unique_ptr<Step> submit(Lane lane, StepPlan plan) = 0;
    virtual std::string describe() const = 0; // JSON object members, without braces
};

} // namespace ds4
