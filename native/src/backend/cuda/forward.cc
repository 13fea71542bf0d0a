#include "backend/cuda/forward.h"

#include "kernels/cache_rows/cache_rows.h"
#include "kernels/embed/embed.h"
#include "kernels/experts/experts.h"
#include "kernels/hyper_connections/hyper_connections.h"
#include "kernels/router/router.h"

namespace ds4::cuda {

using kernels::ProductInput;

void Forward::embed() {
    const EmbeddingTable &table = context_.weights->embedding;
    const Shape &shape = context_.shape;
    kernels::embed({step_, table.rows, table.scales, table.type, shape.hidden, shape.streams,
                    shape.vocab, b_.streams},
                   stream_);
    kernels::make_angles(
        {step_, context_.weights->window_frequencies, shape.rope_dim, b_.window_angles}, stream_);
    kernels::make_angles(
        {step_, context_.weights->compressed_frequencies, shape.rope_dim, b_.compressed_angles},
        stream_);
}

void Forward::enter(const MixWeights &mix, const float *norm) {
    const Shape &shape = context_.shape;
    kernels::collapse_streams({b_.streams, mix.fn, mix.base, mix.scale, norm, step_.rows,
                               shape.streams, shape.hidden, shape.sinkhorn_iterations,
                               shape.norm_epsilon, shape.hc_epsilon, b_.collapse_scratch,
                               b_.x.values, b_.post, b_.comb},
                              stream_);
}

void Forward::leave() {
    kernels::expand_streams({b_.sublayer, b_.post, b_.comb, step_.rows, context_.shape.streams,
                             context_.shape.hidden, b_.streams},
                            stream_);
}

kernels::Activations Forward::rounded(const Forms &forms) {
    if (context_.rounds_activations)
        kernels::quantise(
            {forms.values, forms.rows, forms.cols, forms.quants, forms.scales, forms.halves},
            stream_);
    return forms.view();
}

void Forward::experts(int layer) {
    const Shape &shape = context_.shape;
    const LayerShape &facts = shape.layer[size_t(layer)];
    const LayerWeights &w = context_.weights->layers[size_t(layer)];
    const int32_t rows = step_.rows, width = shape.moe_intermediate_size,
                  per_token = shape.experts_per_token;
    const kernels::Activations x = rounded(b_.x);
    const kernels::Product products[] = {
        {w.router, &x, ProductInput::exact, b_.router_logits, shape.experts},
        {w.shared_gate, &x, ProductInput::rounded, b_.shared.values, width},
        {w.shared_up, &x, ProductInput::rounded, b_.shared_up, width}};
    kernels::matmul(products, rows, stream_);
    kernels::route({step_, b_.router_logits, w.router_bias, w.router_table, shape.experts,
                    per_token, shape.routed_scale, shape.normalise_weights, b_.route_ids,
                    b_.route_weights},
                   stream_);
    kernels::group_routes({b_.route_ids, b_.route_weights, rows, per_token, shape.experts,
                           b_.group_begin, b_.row_of, b_.weight_of, b_.line_of, b_.active,
                           b_.active_count},
                          stream_);
    const float limit = context_.clamps_shared ? facts.shared_swiglu_limit : 0.0f;
    kernels::activate({b_.shared.values, b_.shared_up, rows, width, limit}, stream_);
    const kernels::Activations shared = rounded(b_.shared);
    const kernels::Product down{w.shared_down, &shared, ProductInput::rounded, b_.shared_out,
                                shape.hidden};
    kernels::matmul({&down, 1}, rows, stream_);
    kernels::routed_experts({w.bank,
                             {rows, per_token, b_.group_begin, b_.row_of, b_.line_of, b_.active,
                              b_.active_count, b_.weight_of},
                             x,
                             facts.swiglu_limit,
                             b_.routed_hidden,
                             b_.routed_quants,
                             b_.routed_scales,
                             b_.partials,
                             b_.shared_out,
                             b_.sublayer},
                            stream_);
}

void Forward::head(const int32_t *row_indices) {
    if (extent_.logits_rows == 0) return;
    const Shape &shape = context_.shape;
    const MixWeights &mix = context_.weights->output_mix;
    kernels::collapse_head({b_.streams, row_indices, mix.fn, mix.base, mix.scale,
                            context_.weights->output_norm, extent_.logits_rows, shape.streams,
                            shape.hidden, shape.norm_epsilon, shape.hc_epsilon, b_.collapse_scratch,
                            b_.head_collapsed, b_.head.values},
                           stream_);
    const kernels::Activations x = rounded(b_.head);
    const kernels::Product product{context_.weights->output, &x, ProductInput::rounded, b_.logits,
                                   shape.vocab};
    kernels::matmul({&product, 1}, extent_.logits_rows, stream_);
}

} // namespace ds4::cuda
