// What the core asks of a device. A backend owns kernels, workspace and the memory of sessions; it
// knows nothing of jobs, sampling or files. The wall stands at one whole step, not at single
// operators: a GPU captures a step as a graph and fuses across operators, and a CPU step has no
// other boundary worth crossing.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/trace.h"
#include "ds4.h"

namespace ds4 {

// Where routed experts run (ds4_engine_options).
struct ExpertOptions {
    uint32_t place = DS4_EXPERTS_AUTO;
    uint32_t numerics = DS4_EXPERT_NUMERICS_AUTO;
    int threads = 0,
        parts = 0;  // of the library's own; 0, 0: on the engine's threads where that is best
    int layers = 0; // 0: all
    uint32_t session_tokens = 0;
    std::string library;                   // empty: the one beside this library
    ds4_load_progress *progress = nullptr; // the caller's, alive until the engine is open
};

// How a backend computes: the choices of ds4_engine_options, checked.
struct EngineOptions {
    uint32_t numerics = DS4_NUMERICS_FAST;
    uint32_t switches = 0;
    uint32_t isa = DS4_ISA_AUTO;
    int threads = 0;
    uint32_t max_step_tokens = 512;
    ExpertOptions experts;
};

// One sequence on a device: cache rows, compressor state, tokens so far. Moves forward only through
// Backend::step.
class SequenceState {
  public:
    virtual ~SequenceState() = default;
    // These four may be called from any thread, also while a step runs.
    virtual uint32_t position() const = 0;
    virtual uint32_t capacity() const = 0; // tokens
    virtual uint64_t bytes() const = 0;
    virtual uint64_t snapshot_bytes() const = 0;

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
    const std::atomic<bool> *cancelled;
};

class Backend {
  public:
    virtual ~Backend() = default;
    virtual std::unique_ptr<SequenceState> open_sequence(uint32_t context_tokens) = 0;
    // Advances every sequence, or none and throws. logits: rows asked for, in order, [rows, vocab].
    virtual void step(std::span<const SequenceStep> sequences, float *logits, Trace *trace) = 0;
    virtual std::string describe() const = 0; // JSON object members, without braces
};

} // namespace ds4
