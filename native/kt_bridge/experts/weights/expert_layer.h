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

enum class ExpertLayerState {
    ready = 0,
    empty = 1,
    loading = 2
}; // or a negative KTB_ERR_* of the load that failed

struct ExpertLayer {
    ExpertEngine *engine = nullptr;
    int index = 0; // in tensor names and messages
    int io_type = 0;
    float limit = 0;
    LayerMethods methods;
    ExpertLayerShape shape{};
    LayerLayout layout;
    std::vector<int32_t> kept; // experts that loads read, by slot; all of them at first
    HeldWeights weights;       // none without weights
    std::mutex weights_lock;   // of kept and weights, for readers outside the queue: description,
                               // export, sharing
    std::atomic<const Tuning *> tuning{
        nullptr}; // what was measured for such layers; lives as long as the process
    std::atomic<int> state{int(ExpertLayerState::empty)};
    std::atomic<int> pending{0}; // jobs queued or running

    const uint8_t *record(int part, int expert,
                          int slice) const { // slice within the part; the expert is here
        return weights->data(part, weights->slot_of(expert)) + size_t(slice) * layout.record_bytes;
    }
};

} // namespace ds4::ktb
