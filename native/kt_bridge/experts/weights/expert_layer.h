// The routed experts of one layer: shape, weights, state.
#pragma once
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "experts/weights/layout.h"
#include "experts/weights/packed_weights.h"

namespace ds4::ktb {

class ExpertEngine;
struct Tuning;

// States of a layer beside the negative KTB_ERR_* of a load that failed.
enum class ExpertLayerState { ready = 0, empty = 1, loading = 2 };

struct ExpertLayer {
    ExpertEngine *engine = nullptr;
    int index = 0; // in tensor names and messages
    int io_type = 0;
    float limit = 0;
    LayerMethods methods;
    ExpertLayerShape shape{};
    LayerLayout layout;
    std::vector<int32_t> kept; // experts that loads read, by slot; all of them at first
    HeldWeights weights;       // empty without weights
    // Guards kept and weights against readers outside the queue: description, export, sharing.
    std::mutex weights_lock;
    // Measured for layers of this kind; lives as long as the process.
    std::atomic<const Tuning *> tuning{nullptr};
    std::atomic<int> state{int(ExpertLayerState::empty)};
    std::atomic<int> pending{0}; // jobs queued or running

    // Record of a slice of the part. The layer must have the expert.
    const uint8_t *record(int part, int expert, int slice) const {
        return weights->data(part, weights->slot_of(expert)) + size_t(slice) * layout.record_bytes;
    }
};

} // namespace ds4::ktb
