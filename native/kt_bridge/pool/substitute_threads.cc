#include "pool/substitute_threads.h"

#include <system_error>

#include "base/blocked_signals.h"
#include "pool/expert_error.h"

namespace ds4::ktb {

SubstituteThreads::SubstituteThreads(int workers) {
    const BlockedSignals blocked;
    try {
        for (int index = 1; index < workers; index++)
            threads_.emplace_back([this, index] {
                released_.wait(false, std::memory_order_acquire);
                if (body_ != nullptr) (*body_)(index);
            });
    } catch (const std::system_error &error) {
        release(nullptr);
        fail(KTB_ERR_MEMORY, "cannot start %d threads: %s", workers - 1, error.what());
    }
}

void SubstituteThreads::release(const std::function<void(int)> *body) {
    if (released_.load(std::memory_order_relaxed)) return;
    body_ = body;
    released_.store(true, std::memory_order_release);
    released_.notify_all();
    if (body != nullptr) (*body)(0);
    for (std::thread &thread : threads_) thread.join();
}

void SubstituteThreads::run(const std::function<void(int)> &body) { release(&body); }

} // namespace ds4::ktb
