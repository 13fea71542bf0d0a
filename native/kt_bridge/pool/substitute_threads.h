// Threads that take the place of external workers while a blocking call of a pool without threads
// runs.
#pragma once
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace ds4::ktb {

class SubstituteThreads {
  public:
    explicit SubstituteThreads(int workers); // the caller is one of them; throws KTB_ERR_MEMORY
                                             // when threads cannot be started
    ~SubstituteThreads() { release(nullptr); }
    SubstituteThreads(const SubstituteThreads &) = delete;
    // body(index) for every index in 0..workers-1, 0 on this thread; returns when all have
    // returned. Once.
    void run(const std::function<void(int)> &body);

  private:
    void
    release(const std::function<void(int)> *body); // null: the threads end without doing anything
    const std::function<void(int)> *body_ = nullptr;
    std::atomic<bool> released_{false};
    std::vector<std::thread> threads_;
};

} // namespace ds4::ktb
