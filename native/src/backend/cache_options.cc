#include "backend/cache_options.h"

#include "model/model_identity.h"

namespace ds4 {

CacheLayout cache_layout(const Shape &shape, const EngineOptions &options) {
    const bool plain = options.numerics == DS4_NUMERICS_PLAIN;
    const auto storage = [&](uint32_t off) {
        return plain || (options.switches & off) != 0 ? RowStorage::f32 : RowStorage::packed;
    };
    return {shape,
            {shape.head_dim, shape.rope_dim, storage(DS4_SWITCH_NO_KV_ROUNDING)},
            {shape.index_head_dim, storage(DS4_SWITCH_NO_INDEX_ROUNDING)}};
}

bool reduces_activations(const EngineOptions &options) {
    return options.numerics == DS4_NUMERICS_FAST &&
           (options.switches & DS4_SWITCH_F32_ACTIVATIONS) == 0;
}

CacheIdentity cache_identity(const Model &model, const EngineOptions &options) {
    const CacheLayout layout = cache_layout(model.shape(), options);
    CacheIdentity identity{model_identity(model), 0};
    if (layout.kv.storage == RowStorage::f32) identity.numerics |= CacheIdentity::kF32KvRows;
    if (layout.index.storage == RowStorage::f32) identity.numerics |= CacheIdentity::kF32IndexRows;
    if (reduces_activations(options)) identity.numerics |= CacheIdentity::kReducedActivations;
    if ((options.switches & DS4_SWITCH_NO_SHARED_CLAMP) != 0)
        identity.numerics |= CacheIdentity::kUnclampedSharedExpert;
    return identity;
}

} // namespace ds4
