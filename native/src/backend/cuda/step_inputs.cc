#include "backend/cuda/step_inputs.h"

#include <algorithm>
#include <cstring>

#include "ds4.h"

namespace ds4::cuda {
namespace {

constexpr uint64_t kAlignment = 64;

// Places of arrays in one block, so that one copy brings them all.
class Block {
  public:
    template <typename T> uint64_t add(const std::vector<T> &values) {
        const uint64_t at = bytes.size(), size = values.size() * sizeof(T);
        bytes.resize(at + (size + kAlignment - 1) / kAlignment * kAlignment + kAlignment);
        if (size > 0) std::memcpy(bytes.data() + at, values.data(), size);
        return at;
    }
    std::vector<uint8_t> bytes;
};

} // namespace

void StepInputs::upload(const StepPlan &plan, std::span<const int32_t> tokens,
                        device::Stream &stream) {
    std::vector<kernels::SequenceEntry> entries;
    std::vector<int32_t> row_sequence, row_position, logits_rows;
    is_sampled_.clear();
    last_position_ = 0;
    int32_t first = 0;
    for (size_t s = 0; s < plan.sequences.size(); s++) {
        const StepSequence &in = plan.sequences[s];
        auto &sequence = static_cast<Sequence &>(*in.state);
        sequence.reserve(in.count, stream);
        entries.push_back(sequence.entry(first, int32_t(in.count)));
        const int32_t position = int32_t(sequence.position());
        const auto want = [&](uint32_t row, bool sampled) {
            logits_rows.push_back(first + int32_t(row));
            is_sampled_.push_back(sampled ? 1 : 0);
        };
        for (uint32_t t = 0; t < in.count; t++) {
            row_sequence.push_back(int32_t(s));
            row_position.push_back(position + int32_t(t));
            if (in.logits == DS4_LOGITS_ALL) want(t, false);
        }
        if (in.logits == DS4_LOGITS_LAST) want(in.count - 1, false);
        if (in.samples) want(in.count - 1, true);
        last_position_ = std::max<int64_t>(last_position_, position + int64_t(in.count) - 1);
        first += int32_t(in.count);
    }
    Block block;
    const uint64_t at_tokens = block.add(std::vector<int32_t>(tokens.begin(), tokens.end())),
                   at_sequence = block.add(row_sequence), at_position = block.add(row_position),
                   at_entries = block.add(entries), at_logits = block.add(logits_rows),
                   at_kept = block.add(std::vector<int32_t>(entries.size()));
    bytes_ = std::move(block.bytes);
    if (memory_.bytes() < bytes_.size()) memory_ = device::Memory(bytes_.size() * 2);
    stream.to_device(memory_.data(), bytes_.data(), bytes_.size());
    uint8_t *base = memory_.data();
    table_.rows = int32_t(tokens.size()), table_.sequence_count = int32_t(entries.size());
    table_.tokens = reinterpret_cast<const int32_t *>(base + at_tokens);
    table_.row_sequence = reinterpret_cast<const int32_t *>(base + at_sequence);
    table_.row_position = reinterpret_cast<const int32_t *>(base + at_position);
    table_.sequences = reinterpret_cast<const kernels::SequenceEntry *>(base + at_entries);
    logits_rows_ = reinterpret_cast<const int32_t *>(base + at_logits);
    kept_ = reinterpret_cast<int32_t *>(base + at_kept);
}

const int32_t *StepInputs::upload_kept(std::span<const uint32_t> kept, device::Stream &stream) {
    kept_values_.assign(kept.begin(), kept.end());
    stream.to_device(kept_, kept_values_.data(), kept_values_.size() * sizeof(int32_t));
    return kept_;
}

} // namespace ds4::cuda
