#include "model/model_identity.h"

#include "api/model_handle.h"
#include "api/small_model_for_tests.h"
#include "base/test.h"

using namespace ds4;
using namespace ds4::test;

namespace {

uint64_t identity_of(const SmallModel &parts) {
    ds4_model *model = parts.open();
    const uint64_t identity = model_identity(model->model);
    ds4_model_close(model);
    return identity;
}

} // namespace

TEST("a model has one identity wherever its tensors lie, and another one for any change") {
    const uint64_t original = identity_of(SmallModel());
    CHECK(original == identity_of(SmallModel()));
    CHECK(original == identity_of(SmallModel({DS4_TYPE_F32, 20})));
    CHECK(original != identity_of(SmallModel({DS4_TYPE_F32, 0, 1})));
    CHECK(original != identity_of(SmallModel({DS4_TYPE_BF16})));
    const auto changed = [&](auto change) {
        SmallModel parts;
        change(parts);
        return identity_of(parts) != original;
    };
    CHECK(changed([](SmallModel &m) { m.shape.rope_theta = 10001.0f; }));
    CHECK(changed([](SmallModel &m) { m.shape.yarn_original_tokens = 32768; }));
    CHECK(changed([](SmallModel &m) { m.shape.routed_scale = 1.25f; }));
    CHECK(changed([](SmallModel &m) { m.shape.index_top_k = 4; }));
    CHECK(changed([](SmallModel &m) { m.shape.normalise_weights = 0; }));
    CHECK(changed([](SmallModel &m) { m.layers[1].swiglu_limit = 9.0f; }));
}

TEST("the identity of a model sees each of its tensors change, experts too") {
    const SmallModel parts;
    const uint64_t original = identity_of(parts);
    CHECK(parts.tensors.size() > 60);
    for (size_t i = 0; i < parts.tensors.size(); i++)
        CHECK(identity_of(SmallModel({DS4_TYPE_F32, 0, 0, int64_t(i)})) != original);
}

TEST("experts in one tensor and experts in a tensor each give one identity") {
    SmallModel parts;
    const uint64_t stacked = identity_of(parts);
    std::vector<ds4_tensor> apart;
    for (const ds4_tensor &tensor : parts.tensors)
        for (uint64_t e = 0; e < tensor.depth; e++) {
            apart.push_back(tensor);
            if (tensor.depth == 1) continue;
            ds4_tensor &expert = apart.back();
            expert.expert = int32_t(e), expert.depth = 1,
            expert.bytes = tensor.bytes / tensor.depth;
            expert.offset += e * expert.bytes;
        }
    CHECK(apart.size() == parts.tensors.size() + 3 * 3 * 3);
    parts.tensors = apart;
    CHECK(identity_of(parts) == stacked);
}
