// ds4_model_*: check arguments, call model, translate exceptions.
#include "api/boundary.h"
#include "api/model_handle.h"
#include "ds4.h"
#include "model/shape.h"

using ds4::fail;
using ds4::api::guarded;
using ds4::api::require_pointer;

ds4_status ds4_model_create(const ds4_shape *shape, const ds4_layer_options *layer_options,
                            uint32_t layer_count, ds4_model **out_model) {
    return guarded([&] {
        require_pointer(shape, "shape");
        require_pointer(layer_options, "layer_options");
        require_pointer(out_model, "out_model");
        if (shape->struct_bytes != sizeof(ds4_shape))
            fail(DS4_ERR_ARGUMENT, "ds4_shape: struct_bytes is %u; expected %zu",
                 shape->struct_bytes, sizeof(ds4_shape));
        *out_model = new ds4_model{ds4::Model(ds4::make_shape(*shape, layer_options, layer_count))};
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
        model->model.add_tensors(tensors, tensor_count, names, names_bytes);
    });
}

ds4_status ds4_model_seal(ds4_model *model) {
    return guarded([&] {
        require_pointer(model, "model");
        model->model.seal();
    });
}

void ds4_model_close(ds4_model *model) { delete model; }
