// The routed experts of one layer: shape, place in memory, state.
#pragma once
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "experts/layout.h"
#include "experts/stored_matrix.h"
#include "pool/memory.h"

namespace ds4::ktb {

class Engine;
struct Tuning;

enum class LayerState { ready = 0, empty = 1, loading = 2 }; // or a negative KTB_ERR_* of the load that failed

struct Layer {
    Engine *engine = nullptr;
    int index = 0; // in tensor names and messages
    int io_type = 0;
    float limit = 0;
    LayerMethods methods;
    LayerShape shape{};
    LayerLayout layout;
    ScaleFormat scale_formats[3] = {}; // of the loaded gate, up and down: what export gives back
    std::vector<Mapping> arenas;      // per part; empty without weights
    std::mutex arenas_lock;           // for readers outside the queue: description, export
    bool scales_fold = false;         // every scale is in 2..252: its product with a code is a normal bf16
    std::atomic<const Tuning *> tuning{nullptr}; // what was measured for such layers; lives as long as the process
    std::atomic<int> state{int(LayerState::empty)};
    std::atomic<int> pending{0};      // jobs queued or running

    const uint8_t *record(int part, int expert, int slice) const { // slice within the part
        return arenas[size_t(part)].data() + size_t(expert) * layout.expert_bytes(part) + size_t(slice) * layout.record_bytes;
    }
    uint64_t bytes() const {
        uint64_t sum = 0;
        for (int part = 0; part < layout.parts(); part++) sum += uint64_t(shape.experts) * layout.expert_bytes(part);
        return sum;
    }
};

} // namespace ds4::ktb
