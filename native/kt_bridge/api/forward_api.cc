// Forwards of a layer, blocking and queued.
#include <cstring>

#include "api/handles.h"

using namespace ds4::ktb;

namespace {

// Checks everything that can be wrong with a forward, before anything is written.
void check_request(const ForwardRequest &request, bool strict_ids) {
    const ExpertLayer &layer = *request.layer;
    if (request.input == nullptr || request.output == nullptr || request.ids == nullptr ||
        request.weights == nullptr)
        fail(KTB_ERR_ARGUMENT, "layer %d: input, output, ids or weights are NULL", layer.index);
    for (int type : {request.input_type, request.output_type})
        if (type != KTB_IO_BF16 && type != KTB_IO_F32)
            fail(KTB_ERR_ARGUMENT, "layer %d: type %d is neither KTB_IO_BF16 nor KTB_IO_F32",
                 layer.index, type);
    if (const int state = layer.state.load(std::memory_order_acquire);
        state != int(ExpertLayerState::ready))
        fail(KTB_ERR_STATE, "layer %d has no weights (status %d): load it first", layer.index,
             state);
    const size_t row = size_t(layer.shape.hidden) * size_t(request.tokens);
    const auto begin_of = [](const void *pointer) { return reinterpret_cast<uintptr_t>(pointer); };
    const uintptr_t input = begin_of(request.input), output = begin_of(request.output);
    if (input < output + row * (request.output_type == KTB_IO_BF16 ? 2 : 4) &&
        output < input + row * (request.input_type == KTB_IO_BF16 ? 2 : 4))
        fail(KTB_ERR_ARGUMENT, "layer %d: input and output overlap", layer.index);
    if (!strict_ids) return;
    const int32_t *ids = static_cast<const int32_t *>(request.ids);
    for (size_t slot = 0; slot < size_t(request.tokens) * size_t(layer.shape.experts_per_token);
         slot++)
        if (ids[slot] < -1 || ids[slot] >= layer.shape.experts)
            fail(KTB_ERR_ARGUMENT,
                 "layer %d: expert id %d of token %zu is outside 0..%d (-1 skips)", layer.index,
                 ids[slot], slot / size_t(layer.shape.experts_per_token), layer.shape.experts - 1);
}

void check_call(const ForwardRequest &request, uint32_t flags) {
    const int index = request.layer->index;
    if (request.tokens < 0)
        fail(KTB_ERR_ARGUMENT, "layer %d: n_tokens is %d", index, request.tokens);
    if ((flags & ~uint32_t(KTB_FORWARD_INCREMENTAL | KTB_FORWARD_STRICT_IDS)) != 0)
        fail(KTB_ERR_ARGUMENT, "layer %d: flags 0x%x has bits that this library does not know",
             index, flags);
    if (request.tokens > 0) check_request(request, (flags & KTB_FORWARD_STRICT_IDS) != 0);
}

// Forms without a status show a failure in the output.
void run_visible(const ForwardRequest &request) {
    ExpertLayer &layer = *request.layer;
    try {
        check_request(request, false);
        layer.engine->forward(request);
    } catch (...) {
        if (request.output != nullptr)
            std::memset(request.output, 0xff,
                        size_t(request.tokens) * size_t(layer.shape.hidden) *
                            (request.output_type == KTB_IO_BF16 ? 2 : 4));
        throw;
    }
}

} // namespace

extern "C" {

void ktb_moe_forward(ktb_moe_t moe, int n_tokens, const void *input, void *output,
                     const int64_t *expert_ids, const float *weights, bool incremental,
                     float swiglu_limit) {
    guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_forward");
        if (n_tokens > 0)
            run_visible({&layer, n_tokens, input, KTB_IO_BF16, output, KTB_IO_BF16, expert_ids,
                         true, weights, incremental, swiglu_limit});
        return KTB_OK;
    });
}

void ktb_moe_forward_f32(ktb_moe_t moe, int n_tokens, const void *input_f32, void *output_f32,
                         const int32_t *expert_ids_i32, const float *weights, bool incremental,
                         float swiglu_limit) {
    guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_forward_f32");
        if (n_tokens > 0)
            run_visible({&layer, n_tokens, input_f32, KTB_IO_F32, output_f32, KTB_IO_F32,
                         expert_ids_i32, false, weights, incremental, swiglu_limit});
        return KTB_OK;
    });
}

int ktb_moe_submit(ktb_moe_t moe, int n_tokens, const void *in, int in_type, void *out,
                   int out_type, const int32_t *ids, const float *weights, uint32_t flags,
                   float limit, uint64_t *ticket) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_submit");
        if (ticket == nullptr) fail(KTB_ERR_ARGUMENT, "ktb_moe_submit: ticket is NULL");
        const ForwardRequest request{
            &layer,   n_tokens, in,    in_type, out,
            out_type, ids,      false, weights, (flags & KTB_FORWARD_INCREMENTAL) != 0,
            limit};
        check_call(request, flags);
        *ticket = layer.engine->submit_forward(request);
        return int(KTB_OK);
    });
}

int ktb_moe_forward2(ktb_moe_t moe, int n_tokens, const void *in, int in_type, void *out,
                     int out_type, const int32_t *ids, const float *weights, uint32_t flags,
                     float limit) {
    return guarded([&] {
        ExpertLayer &layer = layer_of(moe, "ktb_moe_forward2");
        const ForwardRequest request{
            &layer,   n_tokens, in,    in_type, out,
            out_type, ids,      false, weights, (flags & KTB_FORWARD_INCREMENTAL) != 0,
            limit};
        check_call(request, flags);
        layer.engine->forward(request);
        return int(KTB_OK);
    });
}

} // extern "C"
