// Named intermediates of the last step, for tests and dumps.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

namespace ds4 {

class Trace {
  public:
    void clear() { values_.clear(); }
    void put(const std::string &name, std::vector<float> values) {
        values_[name] = std::move(values);
    }
    void put(const char *name, int layer, const float *values, int64_t count) {
        put("layer" + std::to_string(layer) + "." + name,
            std::vector<float>(values, values + count));
    }
    const std::map<std::string, std::vector<float>> &values() const { return values_; }

  private:
    std::map<std::string, std::vector<float>> values_;
};

// The trace of an engine, if it is on. Steps that record run one at a time; others share it.
class TraceSlot {
  public:
    // Held by a running step.
    class Use {
      public:
        explicit Use(TraceSlot *slot) : slot_(slot) {
            if (slot_ == nullptr) return;
            const std::lock_guard turn(slot_->turn_); // whoever waits to change it goes first
            slot_->mutex_.lock_shared();
            if (slot_->trace_ == nullptr) return;
            slot_->mutex_.unlock_shared();
            slot_->mutex_.lock();
            trace_ = slot_->trace_.get();
            if (trace_ != nullptr) trace_->clear();
            alone_ = true;
        }
        ~Use() {
            if (slot_ == nullptr) return;
            if (alone_)
                slot_->mutex_.unlock();
            else
                slot_->mutex_.unlock_shared();
        }
        Use(const Use &) = delete;
        Trace *get() const { return trace_; } // null where nothing is recorded

      private:
        TraceSlot *slot_;
        Trace *trace_ = nullptr;
        bool alone_ = false;
    };

    void enable(bool enabled) {
        const std::lock_guard turn(turn_);
        const std::lock_guard lock(mutex_);
        trace_ = enabled ? std::make_unique<Trace>() : nullptr;
    }
    // Runs body with the trace, or null if it is off, while no step runs.
    template <typename Body> void read(const Body &body) {
        const std::lock_guard turn(turn_);
        const std::lock_guard lock(mutex_);
        body(static_cast<const Trace *>(trace_.get()));
    }

  private:
    std::mutex turn_;
    std::shared_mutex mutex_;
    std::unique_ptr<Trace> trace_; // guarded by mutex_
};

} // namespace ds4
