#include "backend/open_backend.h"

#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "base/fail.h"
#include "ds4.h"
#include "model/model.h"

namespace ds4 {

std::unique_ptr<Backend> open_backend(const Model &model, const EngineOptions &options) {
    if (!model.sealed()) fail(DS4_ERR_ARGUMENT, "the model is not sealed");
    return cpu::open_cpu_backend(model, options);
}

} // namespace ds4
