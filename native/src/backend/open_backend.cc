#include "backend/open_backend.h"

#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/device_backend.h"
#include "backend/engine_options.h"
#include "base/blocked_signals.h"
#include "base/fail.h"
#include "ds4.h"
#include "model/model.h"

namespace ds4 {

namespace {

void check_sealed(const Model &model) {
    if (!model.sealed()) fail(DS4_ERR_ARGUMENT, "the model is not sealed");
}

// Null: the model runs on the CPU. Throws Error(DS4_ERR_DEVICE) where a GPU was asked for and none
// can be used.
const DeviceBackend *chosen_device(const EngineOptions &options) {
    if (options.backend == DS4_BACKEND_CPU) return nullptr;
    const DeviceBackend *device = device_backend();
    const bool is_wanted = options.backend == DS4_BACKEND_CUDA;
    const std::string problem =
        device == nullptr ? "this library was built without CUDA" : device->why_unusable();
    if (problem.empty()) return is_wanted ? device : nullptr;
    if (is_wanted)
        fail(DS4_ERR_DEVICE, "no GPU can be used: %s. Run on the CPU with --backend cpu",
             problem.c_str());
    return nullptr;
}

std::unique_ptr<Backend> open_chosen(const Model &model, const EngineOptions &options) {
    const DeviceBackend *device = chosen_device(options);
    return device != nullptr ? device->open(model, options) : cpu::open_cpu_backend(model, options);
}

} // namespace

std::unique_ptr<Backend> open_backend(const Model &model, const EngineOptions &options) {
    check_sealed(model);
    const UnblockedFaults faults;
    try {
        std::unique_ptr<Backend> backend = open_chosen(model, options);
        check_unchanged(model.files()); // opening has read weights
        return backend;
    } catch (...) {
        check_unchanged(model.files()); // lost or new bytes may look like any other fault
        throw;
    }
}

std::string plan_backend(const Model &model, const EngineOptions &options) {
    check_sealed(model);
    const DeviceBackend *device = chosen_device(options);
    return device != nullptr ? device->plan(model, options) : cpu::plan_cpu_backend(model, options);
}

} // namespace ds4
