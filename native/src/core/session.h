// A session of an engine: one sequence on its backend.
#pragma once
#include <atomic>
#include <memory>

#include "backend/backend.h"
#include "base/cancellation.h"

struct ds4_engine;

struct ds4_session {
    std::unique_ptr<ds4::SequenceState> state;
    ds4::CancelSource cancel;
    // A call owns the state: a step, a snapshot or another one. The engine's mutex guards it.
    bool busy = false;
    // A running job owns the session: only its steps change it. The engine's mutex guards it.
    bool claimed = false;
    std::atomic<ds4_engine *> engine = nullptr; // null once the engine has been closed
};
