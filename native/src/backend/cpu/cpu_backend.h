// The CPU backend: the model's blocks over kernels of the best instruction set of the machine.
#pragma once
#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/engine_options.h"
#include "model/model.h"

namespace ds4::cpu {

// The model must be sealed and outlive the backend. Throws Error(DS4_ERR_ARGUMENT) for an
// instruction set that the CPU lacks.
std::unique_ptr<Backend> open_cpu_backend(const Model &model, const EngineOptions &options);

// Throws as open_cpu_backend does before it loads weights; returns the plan of the routed experts.
std::string plan_cpu_backend(const Model &model, const EngineOptions &options);

} // namespace ds4::cpu
