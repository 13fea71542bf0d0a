#include "experts/weights/packed_weights.h"

#include <algorithm>

namespace ds4::ktb {

PackedWeights::PackedWeights(const LayerLayout &layout, int experts,
                             const std::vector<int32_t> &kept,
                             const std::vector<Placement> &placements)
    : slots_(kept.size()), slot_of_(size_t(experts), -1) {
    for (int part = 0; part < layout.parts(); part++) {
        slot_bytes_.push_back(layout.expert_bytes(part));
        arenas_.emplace_back(kept.size() * slot_bytes_.back(), placements[size_t(part)]);
    }
    for (size_t i = 0; i < kept.size(); i++) {
        slots_[i].expert = kept[i];
        slot_of_[size_t(kept[i])] = int32_t(i);
    }
}

void PackedWeights::vacate(int slot) {
    slot_of_[size_t(slots_[size_t(slot)].expert)] = -1;
    slots_[size_t(slot)].expert = -1;
}

void PackedWeights::fill(int slot, const Slot &with) {
    slots_[size_t(slot)] = with;
    slot_of_[size_t(with.expert)] = slot;
}

void PackedWeights::settle() {
    scales_fold_ =
        std::all_of(slots_.begin(), slots_.end(), [](const Slot &one) { return one.folds; });
}

} // namespace ds4::ktb
