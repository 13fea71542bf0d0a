// The experts that a layer holds: export, slots, sharing.
#include <algorithm>

#include "api/handles.h"
#include "experts/loading/memory_source.h"
#include "experts/loading/export.h"

using namespace ds4::ktb;

namespace {

void check_expert(const ExpertLayer &layer, const char *name, int64_t expert) {
    if (expert < 0 || expert >= layer.shape.experts)
        fail(KTB_ERR_ARGUMENT, "layer %d: %s %lld is outside 0..%d", layer.index, name,
             (long long)expert, layer.shape.experts - 1);
}

// Slot of an expert that is to be read. The caller holds weights_lock.
int slot_of(const ExpertLayer &layer, int expert, const char *purpose) {
    if (layer.state.load(std::memory_order_acquire) != int(ExpertLayerState::ready))
        fail(KTB_ERR_STATE, "layer %d has no weights to %s", layer.index, purpose);
    check_expert(layer, "expert", expert);
    const int slot = layer.weights->slot_of(expert);
    if (slot < 0)
        fail(KTB_ERR_STATE, "layer %d: expert %d has no slot: %d of %d experts are here",
             layer.index, expert, layer.weights->slots(), layer.shape.experts);
    return slot;
}

// experts: n different ones, or NULL for all of them.
std::vector<int32_t> kept_experts(const ExpertLayer &layer, int n, const int32_t *experts) {
    if (n < 1 || n > layer.shape.experts)
        fail(KTB_ERR_ARGUMENT, "layer %d: n is %d; expected 1..%d", layer.index, n,
             layer.shape.experts);
    if (experts == nullptr && n != layer.shape.experts)
        fail(KTB_ERR_ARGUMENT, "layer %d: experts is NULL, which means all %d of them, and n is %d",
             layer.index, layer.shape.experts, n);
    std::vector<int32_t> kept;
    for (int i = 0; i < n; i++) {
        const int32_t expert = experts == nullptr ? i : experts[i];
        check_expert(layer, "expert", expert);
        if (std::find(kept.begin(), kept.end(), expert) != kept.end())
            fail(KTB_ERR_ARGUMENT, "layer %d: expert %d is listed twice", layer.index, expert);
        kept.push_back(expert);
    }
    return kept;
}

} // namespace

extern "C" {

int ktb_moe_export_expert(ktb_moe_t moe, int expert, int which, void *w, size_t wcap, void *s,
                          size_t scap) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_export_expert");
        const std::lock_guard<std::mutex> lock(layer.weights_lock);
        slot_of(layer, expert, "export");
        if (which < 1 || which > 3)
            fail(KTB_ERR_ARGUMENT, "which is %d; expected 1 (w1), 2 (w2) or 3 (w3)", which);
        const int matrix = which == 1 ? kGate : which == 2 ? kDown : kUp;
        const ExportSizes sizes = export_sizes(layer, expert, matrix);
        if (w == nullptr || wcap < sizes.codes ||
            (sizes.scales != 0 && (s == nullptr || scap < sizes.scales)))
            fail(KTB_ERR_ARGUMENT,
                 "layer %d: the buffers hold %zu and %zu bytes; codes need %zu and scales %zu",
                 layer.index, wcap, scap, sizes.codes, sizes.scales);
        export_matrix(layer, expert, matrix, static_cast<uint8_t *>(w), static_cast<uint8_t *>(s));
        return int(KTB_OK);
    });
}

int ktb_moe_keep_experts(ktb_moe_t moe, int n, const int32_t *experts) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_keep_experts");
        std::vector<int32_t> kept = kept_experts(layer, n, experts);
        const std::lock_guard<std::mutex> lock(layer.weights_lock);
        const int state = layer.state.load(std::memory_order_acquire);
        if (state == int(ExpertLayerState::ready) || state == int(ExpertLayerState::loading) ||
            layer.pending.load() != 0)
            fail(KTB_ERR_STATE,
                 "layer %d has weights or work: choose its experts before loading it", layer.index);
        layer.kept.swap(kept);
        return int(KTB_OK);
    });
}

int ktb_moe_slots(ktb_moe_t moe, int32_t *slot_of_expert) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_slots");
        const std::lock_guard<std::mutex> lock(layer.weights_lock);
        const bool is_ready =
            layer.state.load(std::memory_order_acquire) == int(ExpertLayerState::ready);
        if (slot_of_expert != nullptr) {
            std::fill_n(slot_of_expert, layer.shape.experts, -1);
            for (size_t i = 0; i < layer.kept.size() && !is_ready; i++)
                slot_of_expert[layer.kept[i]] = int32_t(i);
            if (is_ready)
                std::copy_n(layer.weights->slot_table().begin(), layer.shape.experts,
                            slot_of_expert);
        }
        return is_ready ? layer.weights->slots() : int(layer.kept.size());
    });
}

int ktb_moe_move_expert(ktb_moe_t moe, int leaving, int entering, const ktb_matrix *gate,
                        const ktb_matrix *up, const ktb_matrix *down, uint64_t *ticket) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_move_expert");
        check_expert(layer, "leaving expert", leaving);
        check_expert(layer, "entering expert", entering);
        const ktb_matrix *const matrices[3] = {gate, up, down};
        auto source = std::make_shared<MemorySource>(
            SourceShape{layer.shape, layer.methods, layer.index, {entering}}, matrices, entering);
        if (ticket == nullptr)
            layer.engine->move(layer, leaving, std::move(source));
        else
            *ticket = layer.engine->submit_move(layer, leaving, std::move(source));
        return int(KTB_OK);
    });
}

int ktb_moe_create_shared(ktb_engine_t engine, ktb_moe_t source, ktb_moe_t *made) {
    return guarded([&] {
        if (made != nullptr) *made = nullptr;
        if (engine == nullptr || made == nullptr)
            fail(KTB_ERR_ARGUMENT, "ktb_moe_create_shared: the engine or the output is NULL");
        ExpertLayer &from = layer_of(source, "ktb_moe_create_shared");
        auto moe = std::make_unique<ktb_moe>();
        moe->layer = engine->engine.share_layer(from);
        *made = moe.release();
        return int(KTB_OK);
    });
}

int ktb_moe_packed(ktb_moe_t moe, int part, int expert, const void **address, size_t *bytes) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_packed");
        if (address == nullptr || bytes == nullptr)
            fail(KTB_ERR_ARGUMENT, "ktb_moe_packed: an output is NULL");
        if (part < 0 || part >= layer.layout.parts())
            fail(KTB_ERR_ARGUMENT, "layer %d: part %d is outside 0..%d", layer.index, part,
                 layer.layout.parts() - 1);
        const std::lock_guard<std::mutex> lock(layer.weights_lock);
        const int slot = slot_of(layer, expert, "give");
        *bytes = layer.weights->bytes(part);
        *address = *bytes == 0 ? nullptr : layer.weights->data(part, slot);
        return int(KTB_OK);
    });
}

} // extern "C"
