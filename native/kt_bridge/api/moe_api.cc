#include <cstring>

#include "api/handles.h"
#include "experts/loading/memory_source.h"
#include "experts/loading/folder_source.h"
#include "machine/memory.h"

using namespace ds4::ktb;

namespace {

constexpr int kMaximumExperts = 1024, kMaximumExpertsPerToken = 16, kMaximumWidth = 1 << 16;

void check_dimension(const char *name, int value, Method method) {
    const int step = method_traits(method).column_step;
    if (value < step || value > kMaximumWidth || value % step != 0)
        fail(KTB_ERR_ARGUMENT, "%s is %d; %s needs a multiple of %d in %d..%d", name, value,
             method_traits(method).name, step, step, kMaximumWidth);
}

Method method_of(int number) {
    Method method{};
    if (!find_method(number, method))
        fail(KTB_ERR_ARGUMENT, "method %d is not implemented: this library has %s", number,
             method_names());
    return method;
}

// group_size has no meaning for a method without groups of its own.
void check_group(int group_size, Method method) {
    const int expected = method == Method::mxfp4 ? kGroup : method == Method::fp8 ? 128 : 0;
    if (expected != 0 && group_size != 0 && group_size != expected)
        fail(KTB_ERR_ARGUMENT, "group_size is %d; %s has groups of %d", group_size,
             method_traits(method).name, expected);
}

struct NewLayer {
    int index;
    LayerMethods methods;
    ExpertLayerShape shape;
    int io_type;
    float limit;
};

ktb_moe_t create(ktb_engine_t engine, const NewLayer &wanted) {
    const ExpertLayerShape &shape = wanted.shape;
    if (engine == nullptr) fail(KTB_ERR_ARGUMENT, "ktb_moe_create: the engine is NULL");
    if (wanted.io_type != KTB_IO_BF16 && wanted.io_type != KTB_IO_F32)
        fail(KTB_ERR_ARGUMENT, "io_type is %d; expected KTB_IO_BF16 (0) or KTB_IO_F32 (1)",
             wanted.io_type);
    if (shape.experts < 1 || shape.experts > kMaximumExperts)
        fail(KTB_ERR_ARGUMENT, "num_experts is %d; expected 1..%d", shape.experts, kMaximumExperts);
    if (shape.experts_per_token < 1 || shape.experts_per_token > kMaximumExpertsPerToken)
        fail(KTB_ERR_ARGUMENT, "num_experts_per_tok is %d; expected 1..%d", shape.experts_per_token,
             kMaximumExpertsPerToken);
    check_dimension("hidden_size", shape.hidden, wanted.methods.gate_up);
    check_dimension("intermediate_size", shape.intermediate, wanted.methods.down);
    auto moe = std::make_unique<ktb_moe>();
    moe->layer = engine->engine.create_layer(wanted.index, wanted.methods, shape, wanted.io_type,
                                             wanted.limit);
    return moe.release();
}

int load(ExpertLayer &layer, std::shared_ptr<const ExpertSource> source) {
    layer.engine->load({{&layer, std::move(source)}}, true);
    return KTB_OK;
}

SourceShape source_shape(ExpertLayer &layer) {
    const std::lock_guard<std::mutex> lock(layer.weights_lock);
    return {layer.shape, layer.methods, layer.index, layer.kept};
}

uint64_t packed_bytes(const ExpertLayer &layer, const SourceShape &source) {
    return source.kept.size() * layer.layout.expert_bytes();
}

// Whether pages of the file are dropped: those of a model much larger than free memory would push
// out other pages.
bool drops_pages(uint64_t bytes) { return bytes > ds4::machine::available_memory() / 4; }

} // namespace

extern "C" {

ktb_moe_t ktb_moe_create(ktb_engine_t engine, int layer_idx, int num_experts,
                         int num_experts_per_tok, int hidden_size, int intermediate_size,
                         ktb_io_type_t io_type, ktb_method_t method, int group_size,
                         float swiglu_limit) {
    ktb_moe_t made = nullptr;
    guarded([&] {
        const Method chosen = method_of(int(method));
        check_group(group_size, chosen);
        made = create(engine, {layer_idx,
                               {chosen, chosen},
                               {num_experts, num_experts_per_tok, hidden_size, intermediate_size},
                               int(io_type),
                               swiglu_limit});
        return KTB_OK;
    });
    return made;
}

ktb_moe_t ktb_moe_create_mixed(ktb_engine_t engine, int layer_idx, int num_experts,
                               int num_experts_per_tok, int hidden_size, int intermediate_size,
                               ktb_io_type_t io_type, ktb_method_t method, ktb_method_t down_method,
                               float swiglu_limit) {
    ktb_moe_t made = nullptr;
    guarded([&] {
        const LayerMethods methods{method_of(int(method)), method_of(int(down_method))};
        made = create(engine, {layer_idx,
                               methods,
                               {num_experts, num_experts_per_tok, hidden_size, intermediate_size},
                               int(io_type),
                               swiglu_limit});
        return KTB_OK;
    });
    return made;
}

void ktb_moe_destroy(ktb_moe_t moe) {
    guarded([&] {
        if (moe == nullptr) return KTB_OK;
        moe->layer->engine->remove_layer(moe->layer.get());
        delete moe;
        return KTB_OK;
    });
}

int ktb_status(ktb_moe_t moe) {
    return guarded(
        [&] { return layer_of(moe, "ktb_status").state.load(std::memory_order_acquire); });
}

int ktb_moe_load_weights_ptrs(ktb_moe_t moe, int group_size, const void *const *gate_weight,
                              const void *const *gate_scale, const void *const *up_weight,
                              const void *const *up_scale, const void *const *down_weight,
                              const void *const *down_scale,
                              const int64_t *physical_to_logical_map) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_load_weights_ptrs");
        check_group(group_size, layer.methods.gate_up);
        const void *const *const codes[3] = {gate_weight, up_weight, down_weight};
        const void *const *const scales[3] = {gate_scale, up_scale, down_scale};
        return load(layer, std::make_shared<MemorySource>(source_shape(layer), codes, scales,
                                                          physical_to_logical_map));
    });
}

int ktb_moe_load_weights_safetensors(ktb_moe_t moe, ktb_safetensor_t tensors, int layer_idx,
                                     const int64_t *physical_to_logical_map) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_load_weights_safetensors");
        if (tensors == nullptr)
            fail(KTB_ERR_ARGUMENT, "ktb_moe_load_weights_safetensors: the folder is NULL");
        const std::shared_ptr<const Safetensors> kept =
            tensors->tensors; // the folder may be closed meanwhile
        const SourceShape shape = source_shape(layer);
        return load(layer,
                    std::make_shared<FolderSource>(shape, *kept, layer_idx, physical_to_logical_map,
                                                   drops_pages(packed_bytes(layer, shape))));
    });
}

int ktb_moe_load_matrices(ktb_moe_t moe, const ktb_matrix *gate, const ktb_matrix *up,
                          const ktb_matrix *down) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_load_matrices");
        const ktb_matrix *const matrices[3] = {gate, up, down};
        return load(layer, std::make_shared<MemorySource>(source_shape(layer), matrices));
    });
}

int ktb_load_layers(ktb_engine_t engine, ktb_safetensor_t tensors, int n, const ktb_moe_t *ms,
                    const int *layer_idx, int max_parallel) {
    return guarded([&] {
        if (engine == nullptr || tensors == nullptr ||
            (n > 0 && (ms == nullptr || layer_idx == nullptr)))
            fail(KTB_ERR_ARGUMENT, "ktb_load_layers: an argument is NULL");
        if (n < 0 || max_parallel < 0)
            fail(KTB_ERR_ARGUMENT,
                 "ktb_load_layers: n is %d and max_parallel %d; expected 0 or more", n,
                 max_parallel);
        if (n == 0) return int(KTB_OK);
        const std::shared_ptr<const Safetensors> kept =
            tensors->tensors; // the folder may be closed meanwhile
        std::vector<LoadJob::Item> items;
        std::vector<SourceShape> shapes;
        uint64_t bytes = 0;
        for (int i = 0; i < n; i++) {
            ExpertLayer &layer = layer_of(ms[i], "ktb_load_layers");
            if (layer.engine != &engine->engine)
                fail(KTB_ERR_ARGUMENT, "ktb_load_layers: layer %d belongs to another engine",
                     layer.index);
            for (int other = 0; other < i; other++)
                if (ms[other] == ms[i])
                    fail(KTB_ERR_ARGUMENT, "ktb_load_layers: layer %d is listed twice",
                         layer.index);
            shapes.push_back(source_shape(layer));
            bytes += packed_bytes(layer, shapes.back());
        }
        const bool drop = drops_pages(bytes);
        for (int i = 0; i < n; i++) {
            ExpertLayer &layer = *ms[i]->layer;
            items.push_back({&layer, std::make_shared<FolderSource>(shapes[size_t(i)], *kept,
                                                                    layer_idx[i], nullptr, drop)});
        }
        engine->engine.load(std::move(items), max_parallel == 1);
        return int(KTB_OK);
    });
}

} // extern "C"
