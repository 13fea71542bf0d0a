// Threads of the library take no signals of the process: a host's handlers run on the host's
// threads.
#pragma once
#include <pthread.h>
#include <signal.h>

namespace ds4 {

// Signals that a thread raises by its own reads and instructions. One that is blocked ends the
// process, whatever its handler would do.
constexpr int kOwnFaults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

// While it lives, threads that the caller starts block every signal but those of their own faults,
// whatever the caller blocks.
class BlockedSignals {
  public:
    BlockedSignals() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (const int fault : kOwnFaults) sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before_);
    }
    ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    BlockedSignals(const BlockedSignals &) = delete;
    BlockedSignals &operator=(const BlockedSignals &) = delete;

  private:
    sigset_t before_;
};

// While it lives, the calling thread's own faults reach their handlers. A host's thread may have
// blocked all signals before it reads mapped weights.
class UnblockedFaults {
  public:
    UnblockedFaults() {
        sigset_t faults;
        sigemptyset(&faults);
        for (const int fault : kOwnFaults) sigaddset(&faults, fault);
        pthread_sigmask(SIG_UNBLOCK, &faults, &before_);
    }
    ~UnblockedFaults() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    UnblockedFaults(const UnblockedFaults &) = delete;
    UnblockedFaults &operator=(const UnblockedFaults &) = delete;

  private:
    sigset_t before_;
};

} // namespace ds4
