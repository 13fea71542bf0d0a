// A session of an engine: one sequence on its backend.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "base/cancellation.h"

struct ds4_engine;

struct ds4_session {
    std::unique_ptr<ds4::SequenceState> state;
    ds4::CancelSource cancel;
    // The engine's mutex guards what follows.
    bool busy = false;    // a call that excludes all others owns the state
    bool claimed = false; // a running job owns the session: only its steps change it
    bool granted = false; // may_step said yes, and its step has not been submitted yet
    uint32_t steps = 0;   // submitted steps of that job that have not been destroyed
    uint64_t asked = 0;   // the place in the order of calls of a step that had to wait, or 0
    ds4::StepListener *waits = nullptr;         // told when that step may be submitted
    std::atomic<ds4_engine *> engine = nullptr; // null once the engine has been closed
};
