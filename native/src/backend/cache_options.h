// The cache rows that the options of an engine ask for, on any backend.
#pragma once
#include "backend/engine_options.h"
#include "kv/cache_identity.h"
#include "kv/cache_layout.h"
#include "model/model.h"

namespace ds4 {

CacheLayout cache_layout(const Shape &shape, const EngineOptions &options);
// Activations that are rounded for speed: fast numerics without the switch that forbids it.
bool reduces_activations(const EngineOptions &options);
// Reads samples of the weights (model/model_identity.h).
CacheIdentity cache_identity(const Model &model, const EngineOptions &options);

} // namespace ds4
