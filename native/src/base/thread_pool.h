// A fixed set of threads that run one parallel region at a time. The caller takes part as worker 0.
#pragma once
#include <cstdint>
#include <memory>

namespace ds4 {

// A non-owning reference to a callable; valid for the duration of the call that takes it.
class RegionFunction {
  public:
    template <typename F>
    RegionFunction(const F &function)
        : object_(&function), call_([](const void *object, int worker, int workers) {
              (*static_cast<const F *>(object))(worker, workers);
          }) {}
    void operator()(int worker, int workers) const { call_(object_, worker, workers); }

  private:
    const void *object_;
    void (*call_)(const void *, int, int);
};

// Something that a thread does between the parallel regions that it starts: for instance, it lets
// other work have the cores.
class Interlude {
  public:
    virtual ~Interlude() = default;
    virtual void between_regions() = 0; // may throw, in place of the region

    // Holds for the calling thread while the object lives. Null: none.
    class Scope {
      public:
        explicit Scope(Interlude *interlude);
        ~Scope();
        Scope(const Scope &) = delete;

      private:
        Interlude *before_;
    };
    // Runs that of the calling thread, if it has one.
    static void run();
};

class ThreadPool {
  public:
    explicit ThreadPool(int threads); // >= 1, the caller included
    ~ThreadPool();
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool &operator=(const ThreadPool &) = delete;

    int threads() const;
    uint64_t regions() const; // that run has been called for; for tests and measurements
    // Runs function(worker, workers) for every worker in 0..threads-1 and returns when all have.
    // Not reentrant. An exception thrown by a worker is rethrown here. The thread's interlude runs
    // first.
    void run(const RegionFunction &function);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// The items [begin, end) of `count` for one worker. Begins are multiples of `step`; the ranges of
// workers differ by at most one step.
struct WorkRange {
    int64_t begin, end;
};
WorkRange share(int64_t count, int worker, int workers, int64_t step = 1);

} // namespace ds4
