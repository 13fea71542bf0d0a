// A step on a backend has four acts. Submit: the tokens, of which one may be what the step before
// it samples. Control: how each row is sampled, said while the forward pass runs. Await: the
// sampled tokens. Commit: how many of each sequence's tokens become current.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/trace.h"
#include "ds4.h"
#include "sampling/control.h"

namespace ds4 {

class SequenceState;

// Steps of one lane run in the order in which they were submitted; the two lanes run at the same
// time. The decode lane goes first where they compete.
enum class Lane : uint8_t { decode, prefill };
constexpr int kLanes = 2;
// Prompts of so many tokens are read in the decode lane, beside the tokens of the streams.
constexpr uint32_t kShortPromptTokens = 64;

struct StepSequence {
    SequenceState *state;
    uint32_t count; // new tokens, >= 1
    // >= 0: the one token is sampled by the lane's step submitted before this one. The number is
    // its index among the tokens of that step.
    int32_t follows = -1;
    uint32_t logits = DS4_LOGITS_NONE; // rows for the caller
    bool samples = false;              // a token is sampled after the last row
    CancelWatch cancel;                // taken when the step was accepted
};

class StepListener {
  public:
    virtual ~StepListener() = default;
    // From any thread, once for each step, when await would no longer block. Must not call back.
    virtual void step_done() noexcept = 0;
};

struct StepPlan {
    std::vector<StepSequence> sequences;
    std::vector<int32_t> tokens;      // of all sequences in order, [sum of count]
    float *logits = nullptr;          // [rows for the caller, vocab], written before step_done
    TraceSlot *trace = nullptr;       // null: no intermediates are recorded
    StepListener *listener = nullptr; // null: nobody is told

    uint32_t sampled_rows() const {
        uint32_t rows = 0;
        for (const StepSequence &sequence : sequences) rows += sequence.samples ? 1 : 0;
        return rows;
    }
};

struct StepResult {
    ds4_status status = DS4_OK;        // DS4_ERR_CANCELLED: of a cancelled or dropped step
    std::string text;                  // of an error
    std::vector<ds4_job_token> tokens; // [sampled rows]; an id of -1 where the record took none
    uint64_t microseconds = 0;         // of computing, without waiting
};

// A submitted step. Destroying it before commit drops it: no sequence advances. The destructor
// returns when the backend no longer uses the sequences.
class Step {
  public:
    virtual ~Step() = default;
    // One record for each sampled row. Say it once; the backend waits for it after the forward.
    virtual void control(std::span<const SamplingControl> records) = 0;
    virtual bool is_done() const = 0;
    // Blocks until the step is evaluated and sampled, or has failed.
    virtual const StepResult &await() = 0;
    // kept: of each sequence, the number of its first tokens that become current; no more than a
    // sequence's partial limit unless all are kept. It may be said before the step is done; the
    // next step of the lane waits for it. All 0 drops the step at its next layer. A failed step
    // ignores it.
    virtual void commit(std::span<const uint32_t> kept) = 0;
};

} // namespace ds4
