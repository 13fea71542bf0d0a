// The one place that chooses a backend and opens it.
#pragma once
#include <memory>
#include <string>

namespace ds4 {

class Backend;
class Model;
struct EngineOptions;

// The model must be sealed and outlive the backend. Throws Error(DS4_ERR_ARGUMENT) for an unsealed
// model or an option that no backend of this build can honour.
std::unique_ptr<Backend> open_backend(const Model &model, const EngineOptions &options);

// Refuses what open_backend would refuse before it loads weights. Returns where the routed experts
// would run: the JSON object of plan_experts.
std::string plan_backend(const Model &model, const EngineOptions &options);

} // namespace ds4
