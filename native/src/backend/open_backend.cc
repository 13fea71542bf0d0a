#include "backend/open_backend.h"

#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "base/blocked_signals.h"
#include "base/fail.h"
#include "ds4.h"
#include "model/model.h"

namespace ds4 {

namespace {

void check_sealed(const Model &model) {
    if (!model.sealed()) fail(DS4_ERR_ARGUMENT, "the model is not sealed");
}

} // namespace

std::unique_ptr<Backend> open_backend(const Model &model, const EngineOptions &options) {
    check_sealed(model);
    const UnblockedFaults faults;
    try {
        std::unique_ptr<Backend> backend = cpu::open_cpu_backend(model, options);
        check_unchanged(model.files()); // opening has read weights
        return backend;
    } catch (...) {
        check_unchanged(model.files()); // lost or new bytes may look like any other fault
        throw;
    }
}

std::string plan_backend(const Model &model, const EngineOptions &options) {
    check_sealed(model);
    return cpu::plan_cpu_backend(model, options);
}

} // namespace ds4
