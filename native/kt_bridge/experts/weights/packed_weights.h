// The packed experts of a layer: memory for each part, and the expert in each slot. A layer need
// not have all of its experts here, and layers of several engines may hold the same weights.
//
// Access: the engine of a layer that is the only holder of its weights changes them between its
// forwards. It takes the layer's weights_lock for members that the lock's other users read. Weights
// with several holders are never changed.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "experts/weights/layout.h"
#include "experts/loading/stored_matrix.h"
#include "pool/memory.h"

namespace ds4::ktb {

struct Slot {
    int32_t expert = -1;               // that lies here; -1 while its bytes are written
    ScaleFormat scale_formats[3] = {}; // of its gate, up and down as loaded, for export
    bool folds = true;                 // the tile kernels can fold every scale
};

class PackedWeights {
  public:
    // Makes memory for `kept` experts of `experts`, expert kept[i] in slot i, with nothing in it
    // yet. The arena of every part is [slot][slice of the part][record]. placements: of each part.
    // Throws KTB_ERR_MEMORY.
    PackedWeights(const LayerLayout &layout, int experts, const std::vector<int32_t> &kept,
                  const std::vector<Placement> &placements);

    int slots() const { return int(slots_.size()); }
    const Slot &slot(int index) const { return slots_[size_t(index)]; }
    int slot_of(int expert) const { return slot_of_[size_t(expert)]; }  // -1: absent
    const std::vector<int32_t> &slot_table() const { return slot_of_; } // [experts]
    bool has(int expert) const { return slot_of(expert) >= 0; }
    bool scales_fold() const { return scales_fold_; } // those of every slot
    const std::vector<Mapping> &arenas() const { return arenas_; }

    // Packed bytes of one slot in one part, and their number.
    uint8_t *data(int part, int slot) const {
        return arenas_[size_t(part)].data() + size_t(slot) * slot_bytes_[size_t(part)];
    }
    size_t bytes(int part) const { return slot_bytes_[size_t(part)]; }

    // Takes the expert out of a slot, whose bytes are then undefined until `fill`. Different slots
    // may be filled at once.
    void vacate(int slot);
    void fill(int slot, const Slot &with);
    void settle(); // computes the facts about all slots, after the last `fill`

    bool changing = false;       // a move is at work: the weights take no new holder
    std::atomic<int> holders{0}; // layers

  private:
    std::vector<Mapping> arenas_;    // per part
    std::vector<size_t> slot_bytes_; // per part
    std::vector<Slot> slots_;
    std::vector<int32_t> slot_of_; // [experts]
    bool scales_fold_ = true;
};

// Counts a layer among the holders of its weights.
class HeldWeights {
  public:
    HeldWeights() = default;
    ~HeldWeights() { hold(nullptr); }
    HeldWeights(const HeldWeights &) = delete;
    void hold(std::shared_ptr<PackedWeights> weights) {
        if (weights != nullptr) weights->holders.fetch_add(1, std::memory_order_relaxed);
        weights_.swap(weights);
        if (weights != nullptr)
            weights->holders.fetch_sub(
                1, std::memory_order_release); // after the last read of this layer
    }
    const std::shared_ptr<PackedWeights> &shared() const { return weights_; }
    bool alone() const { return weights_->holders.load(std::memory_order_acquire) == 1; }
    PackedWeights *operator->() const { return weights_.get(); }
    PackedWeights &operator*() const { return *weights_; }
    explicit operator bool() const { return weights_ != nullptr; }

  private:
    std::shared_ptr<PackedWeights> weights_;
};

} // namespace ds4::ktb
