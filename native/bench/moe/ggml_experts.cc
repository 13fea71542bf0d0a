#include "moe/ggml_experts.h"

#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace ds4::bench {
namespace {

constexpr size_t kGroup = 32, kBlockBytes = 17;
constexpr size_t kNodesPerCall = 32; // of a graph: 6 products and the sum of up to 16 routes

// One matrix in ggml's blocks (format/blocks.h, BlockMxfp4).
std::vector<uint8_t> blocks_of(const std::vector<uint8_t> &codes,
                               const std::vector<uint8_t> &scales) {
    std::vector<uint8_t> blocks(scales.size() * kBlockBytes);
    uint8_t *out = blocks.data();
    for (size_t group = 0; group < scales.size(); group++, out += kBlockBytes) {
        const uint8_t *pairs = codes.data() + group * kGroup / 2; // inputs 2i and 2i + 1
        const auto code = [&](size_t i) { return pairs[i / 2] >> (i % 2 * 4) & 15; };
        out[0] = scales[group];
        for (size_t i = 0; i < kGroup / 2; i++)
            out[1 + i] = uint8_t(code(i) | code(i + kGroup / 2) << 4);
    }
    return blocks;
}

void *checked(void *made, const char *what) {
    if (made == nullptr) throw std::runtime_error(std::string("ggml could not make ") + what);
    return made;
}

} // namespace

GgmlExperts::GgmlExperts(const GgmlLibrary &library, void *buffers, const Shape &shape, int layers,
                         const SourceExperts &source)
    : f_(library.functions()),
      context_(checked(f_.init({f_.tensor_overhead() * size_t(layers * 3 + 1), nullptr, true}),
                       "a context")) {
    for (int i = 0; i < layers * 3; i++) {
        const int64_t inputs = i % 3 == 2 ? shape.intermediate : shape.hidden,
                      rows = i % 3 == 2 ? shape.hidden : shape.intermediate;
        tensors_.push_back(f_.new_tensor_3d(context_, kGgmlMxfp4, inputs, rows, shape.experts));
    }
    buffer_ = f_.backend_alloc_ctx_tensors_from_buft(context_, buffers);
    if (buffer_ == nullptr) f_.free(context_);
    checked(buffer_, "the expert tensors: memory is short");
    for (int matrix = 0; matrix < 3; matrix++) {
        std::vector<uint8_t> sources[SourceExperts::kCount], blocks;
        for (int i = 0; i < SourceExperts::kCount; i++)
            sources[i] = blocks_of(source.codes(i, matrix), source.scales(i, matrix));
        for (int expert = 0; expert < shape.experts; expert++) {
            const std::vector<uint8_t> &one = sources[expert % SourceExperts::kCount];
            blocks.insert(blocks.end(), one.begin(), one.end());
        }
        for (int layer = 0; layer < layers; layer++)
            f_.backend_tensor_set(this->matrix(layer, matrix), blocks.data(), 0, blocks.size());
    }
}

GgmlExperts::~GgmlExperts() {
    f_.backend_buffer_free(buffer_);
    f_.free(context_);
}

GgmlGraph::GgmlGraph(const GgmlLibrary &library, const GgmlExperts &experts, const Shape &shape,
                     int tokens, int calls)
    : library_(library), f_(library.functions()), shape_(shape), tokens_(tokens) {
    const size_t nodes = kNodesPerCall * size_t(calls) + 64;
    context_ =
        checked(f_.init({f_.tensor_overhead() * nodes * 2 + f_.graph_overhead_custom(nodes, false),
                         nullptr, true}),
                "a context");
    graph_ = f_.new_graph_custom(context_, nodes, false);
    const size_t row = size_t(shape.hidden) * sizeof(float);
    for (int i = 0; i < calls; i++) {
        const auto matrix = [&](int which) { return experts.matrix(i % experts.layers(), which); };
        Call call{f_.new_tensor_3d(context_, kGgmlF32, shape.hidden, 1, tokens),
                  f_.new_tensor_2d(context_, kGgmlI32, shape.experts_per_token, tokens),
                  f_.new_tensor_3d(context_, kGgmlF32, 1, shape.experts_per_token, tokens),
                  nullptr};
        for (void *tensor : {call.input, call.ids, call.weights})
            f_.set_input(tensor),
                f_.set_output(tensor); // an input alone is overwritten after its last use
        void *const gate = f_.mul_mat_id(context_, matrix(0), call.input, call.ids),
                    *const up = f_.mul_mat_id(context_, matrix(1), call.input, call.ids);
        void *const intermediate = f_.swiglu_split(context_, gate, up);
        void *const routes =
            f_.mul(context_, f_.mul_mat_id(context_, matrix(2), intermediate, call.ids),
                   call.weights); // [hidden, experts per token, tokens]
        for (int slot = 0; slot < shape.experts_per_token; slot++) {
            void *const part =
                f_.view_2d(context_, routes, shape.hidden, tokens,
                           row * size_t(shape.experts_per_token), row * size_t(slot));
            call.output = slot == 0 ? part : f_.add(context_, call.output, part);
        }
        f_.set_output(call.output);
        f_.build_forward_expand(graph_, call.output);
        calls_.push_back(call);
    }
    allocator_ = checked(f_.gallocr_new(library.plain_buffers()), "an allocator");
    if (!f_.gallocr_alloc_graph(allocator_, graph_))
        throw std::runtime_error("ggml could not allocate a graph");
}

GgmlGraph::~GgmlGraph() {
    f_.gallocr_free(allocator_);
    f_.free(context_);
}

void GgmlGraph::set(int call, const Routes &routes, const std::vector<float> &input) {
    const Call &tensors = calls_[size_t(call)];
    if (routes.tokens != tokens_)
        throw std::logic_error("the routes are of another number of tokens than the graph");
    f_.backend_tensor_set(tensors.input, input.data(), 0,
                          size_t(tokens_) * size_t(shape_.hidden) * sizeof(float));
    f_.backend_tensor_set(tensors.ids, routes.ids.data(), 0, routes.ids.size() * sizeof(int32_t));
    f_.backend_tensor_set(tensors.weights, routes.weights.data(), 0,
                          routes.weights.size() * sizeof(float));
}

void GgmlGraph::compute() {
    if (f_.backend_graph_compute(library_.backend(), graph_) != 0)
        throw std::runtime_error("ggml could not compute the graph");
}

std::vector<float> GgmlGraph::output(int call) const {
    std::vector<float> out(size_t(tokens_) * size_t(shape_.hidden));
    f_.backend_tensor_get(calls_[size_t(call)].output, out.data(), 0, out.size() * sizeof(float));
    return out;
}

bool can_repack(const GgmlLibrary &library) {
    if (library.repack_buffers() == nullptr) return false;
    const pid_t child = fork();
    if (child == 0) {
        const Shape small{2, 1, 256, 256};
        const GgmlExperts experts(library, library.repack_buffers(), small, 1,
                                  SourceExperts(small));
        _exit(0);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

} // namespace ds4::bench
