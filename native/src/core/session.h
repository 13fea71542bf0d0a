// A session of an engine: one sequence on its backend.
#pragma once
#include <atomic>
#include <memory>

#include "backend/backend.h"

struct ds4_engine;

struct ds4_session {
    std::unique_ptr<ds4::SequenceState> state;
    std::atomic<bool> cancelled{false};
    // A call owns the state: a step, a snapshot or another one. The engine's mutex guards it.
    bool busy = false;
    ds4_engine *engine = nullptr; // null once the engine has been closed
};
