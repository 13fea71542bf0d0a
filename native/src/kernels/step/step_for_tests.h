// Steps and sequences in device memory, for tests of kernels.
#pragma once
#include <cstdint>
#include <deque>
#include <vector>

#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels::test {

// Numbers in [-1, 1) that depend on the seed alone.
inline std::vector<float> random_floats(int64_t count, uint32_t seed, float scale = 1.0f) {
    std::vector<float> out(static_cast<size_t>(count));
    uint32_t state = seed * 2654435761u + 12345u;
    for (float &value : out) {
        state = state * 1664525u + 1013904223u;
        value = float(int32_t(state)) * 0x1p-31f * scale;
    }
    return out;
}

template <typename T> class DeviceArray {
  public:
    explicit DeviceArray(size_t count) : memory_(count * sizeof(T)), count_(count) {}
    explicit DeviceArray(const std::vector<T> &values) : DeviceArray(values.size()) { set(values); }
    T *data() const { return memory_.as<T>(); }
    void set(const std::vector<T> &values) {
        device::Stream stream;
        stream.to_device(memory_.data(), values.data(), values.size() * sizeof(T));
        stream.wait();
    }
    std::vector<T> get() const {
        std::vector<T> out(count_);
        device::Stream stream;
        stream.to_host(out.data(), memory_.data(), count_ * sizeof(T));
        stream.wait();
        return out;
    }

  private:
    device::Memory memory_;
    size_t count_;
};

// One sequence of a step, with memory of its own.
struct SequencePlan {
    int32_t position, count;
    std::vector<uint8_t> recent = {};             // host contents of its rings
    std::vector<std::vector<uint8_t>> pages = {}; // host contents of its pages
};

// The table of a step: rows of the sequences in order, then `padding` padded rows.
class StepOnDevice {
  public:
    explicit StepOnDevice(const std::vector<SequencePlan> &plans, int padding = 0) {
        for (size_t s = 0; s < plans.size(); s++) add(plans[s], int32_t(s));
        for (int i = 0; i < padding; i++) sequence_.push_back(-1), position_.push_back(0);
        arrays_.emplace_back(sequence_), arrays_.emplace_back(position_);
        device_entries_.emplace_back(entries_);
    }
    StepTable table() const {
        StepTable out;
        out.rows = int32_t(sequence_.size()), out.sequence_count = int32_t(entries_.size());
        out.row_sequence = arrays_[0].data(), out.row_position = arrays_[1].data();
        out.sequences = device_entries_[0].data();
        return out;
    }
    std::vector<uint8_t> recent(int sequence) const { return recent_[size_t(sequence)].get(); }
    std::vector<uint8_t> staged(int sequence) const { return staged_[size_t(sequence)].get(); }
    std::vector<uint8_t> page(int sequence, int page) const {
        return pages_[size_t(first_page_[size_t(sequence)] + page)].get();
    }

  private:
    void add(const SequencePlan &plan, int32_t index) {
        SequenceEntry entry{};
        entry.position = plan.position, entry.count = plan.count;
        entry.first_row = int32_t(sequence_.size()), entry.page_count = int32_t(plan.pages.size());
        for (int32_t i = 0; i < plan.count; i++)
            sequence_.push_back(index), position_.push_back(plan.position + i);
        first_page_.push_back(int(pages_.size()));
        std::vector<uint8_t *> pages;
        for (const std::vector<uint8_t> &page : plan.pages)
            pages.push_back(pages_.emplace_back(page).data());
        entry.pages = page_tables_.emplace_back(pages).data();
        entry.recent = recent_.emplace_back(plan.recent).data();
        // the kernels write where recent rows lie, so a staged ring begins with other bytes
        entry.staged = staged_.emplace_back(std::vector<uint8_t>(plan.recent.size(), 0xee)).data();
        entries_.push_back(entry);
    }

    std::vector<int32_t> sequence_, position_;
    std::vector<SequenceEntry> entries_;
    std::vector<int> first_page_;
    std::deque<DeviceArray<uint8_t>> recent_, staged_, pages_;
    std::deque<DeviceArray<uint8_t *>> page_tables_;
    std::deque<DeviceArray<int32_t>> arrays_;
    std::deque<DeviceArray<SequenceEntry>> device_entries_;
};

} // namespace ds4::kernels::test
