// Threads that replace external workers while a blocking call runs.
#pragma once
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace ds4::ktb {

class SubstituteThreads {
  public:
    // The caller is one of the workers. Throws KTB_ERR_MEMORY when threads cannot be started.
    explicit SubstituteThreads(int workers);
    ~SubstituteThreads() { release(nullptr); }
    SubstituteThreads(const SubstituteThreads &) = delete;
    // Runs body(index) for every index in 0..workers-1, 0 on this thread, and returns when all have
    // returned. It may be called once.
    void run(const std::function<void(int)> &body);

  private:
    void
    release(const std::function<void(int)> *body); // null: the threads end without doing anything
    const std::function<void(int)> *body_ = nullptr;
    std::atomic<bool> released_{false};
    std::vector<std::thread> threads_;
};

} // namespace ds4::ktb
