// The interface between core and a device. A backend owns kernels, workspace and the memory of
// sessions; it knows nothing of jobs, sampling or files. One call runs one whole step, never a
// single operator: a GPU captures a step as a graph and fuses across operators. A CPU step has no
// other boundary that would be useful to cross.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/trace.h"

namespace ds4 {

// One sequence on a device: cache rows, compressor state, tokens so far. Only Backend::step
// advances it.
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

struct SequenceStep {
    SequenceState *state;
    const int32_t *tokens; // [count]
    uint32_t count;        // >= 1
    uint32_t logits;       // DS4_LOGITS_*
    CancelWatch cancel;
};

class Backend {
  public:
    virtual ~Backend() = default;
    virtual std::unique_ptr<SequenceState> open_sequence(uint32_t context_tokens) = 0;
    // Advances all sequences, or throws and advances none. logits: [rows asked for, vocab] f32 in
    // order. trace: null, or receives intermediates.
    virtual void step(std::span<const SequenceStep> sequences, float *logits, Trace *trace) = 0;
    virtual std::string describe() const = 0; // JSON object members, without braces
};

} // namespace ds4
