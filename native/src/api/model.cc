// ds4_model_*: check arguments, call model, translate exceptions.
#include <vector>

#include "api/boundary.h"
#include "api/growable.h"
#include "api/model_handle.h"
#include "ds4.h"
#include "model/shape.h"

using ds4::api::guarded;
using ds4::api::require_pointer;

namespace {

// Sizes in the first ds4.h, which a caller has that states none.
constexpr uint32_t kLayerOptionsBytes = 16, kTensorBytes = 88;

} // namespace

ds4_status ds4_model_create(const ds4_shape *shape, const ds4_layer_options *layer_options,
                            uint32_t layer_count, ds4_model **out_model) {
    return guarded([&] {
        require_pointer(shape, "shape");
        require_pointer(layer_options, "layer_options");
        require_pointer(out_model, "out_model");
        const ds4_shape full = ds4::api::widened(shape);
        ds4::check_shape(full, layer_count); // bounds what is read below
        const uint32_t stride = ds4::api::checked_stride(
            ds4::api::layout_of<ds4_layer_options>(), full.layer_options_bytes, kLayerOptionsBytes);
        const std::vector<ds4_layer_options> layers =
            ds4::api::widened_elements(layer_options, layer_count, stride);
        const uint32_t tensor_stride = ds4::api::checked_stride(ds4::api::layout_of<ds4_tensor>(),
                                                                full.tensor_bytes, kTensorBytes);
        *out_model = new ds4_model{ds4::Model(ds4::make_shape(full, layers.data(), layer_count)),
                                   tensor_stride};
    });
}

ds4_status ds4_model_add_file(ds4_model *model, const char *path, uint32_t *out_file) {
    return guarded([&] {
        require_pointer(model, "model");
        require_pointer(path, "path");
        require_pointer(out_file, "out_file");
        *out_file = model->model.add_file(path);
    });
}

ds4_status ds4_model_add_tensors(ds4_model *model, const ds4_tensor *tensors, uint64_t tensor_count,
                                 const char *names, uint64_t names_bytes) {
    return guarded([&] {
        require_pointer(model, "model");
        if (tensor_count == 0) return;
        require_pointer(tensors, "tensors");
        require_pointer(names, "names");
        const std::vector<ds4_tensor> entries =
            ds4::api::widened_elements(tensors, tensor_count, model->tensor_bytes);
        model->model.add_tensors(entries.data(), tensor_count, names, names_bytes);
    });
}

ds4_status ds4_model_seal(ds4_model *model) {
    return guarded([&] {
        require_pointer(model, "model");
        model->model.seal();
    });
}

void ds4_model_close(ds4_model *model) { delete model; }
