// llama.cpp's CPU kernels, opened at run time from the shared libraries of a release. They were
// checked with ggml 0.25.1, the npm package @node-llama-cpp/linux-x64 3.22.1. Only opaque pointers
// and one small struct cross, so that no layout of ggml's own structs is assumed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace ds4::bench {

// Numbers of ggml's public enums.
constexpr int kGgmlF32 = 0, kGgmlI32 = 26, kGgmlMxfp4 = 39;
constexpr int kGgmlCpuDevice = 0;

struct GgmlInit { // ggml_init_params, passed by value
    size_t memory_bytes;
    void *memory;
    bool no_alloc;
};

// Signatures of the public headers, with opaque struct pointers.
struct GgmlFunctions {
    const char *(*version)();
    void (*log_set)(void (*)(int, const char *, void *), void *);
    void *(*init)(GgmlInit);
    void (*free)(void *context);
    size_t (*tensor_overhead)();
    size_t (*graph_overhead_custom)(size_t nodes, bool gradients);
    size_t (*nbytes)(const void *tensor);
    void *(*new_tensor_2d)(void *context, int type, int64_t, int64_t);
    void *(*new_tensor_3d)(void *context, int type, int64_t, int64_t, int64_t);
    void *(*mul_mat_id)(void *context, void *weights, void *input, void *ids);
    void *(*swiglu_split)(void *context, void *gate, void *up);
    void *(*mul)(void *context, void *, void *);
    void *(*add)(void *context, void *, void *);
    void *(*view_2d)(void *context, void *, int64_t, int64_t, size_t row_bytes,
                     size_t offset_bytes);
    void (*set_input)(void *tensor);
    void (*set_output)(void *tensor);
    void *(*new_graph_custom)(void *context, size_t nodes, bool gradients);
    void (*build_forward_expand)(void *graph, void *tensor);
    void *(*gallocr_new)(void *buffer_type);
    bool (*gallocr_alloc_graph)(void *allocator, void *graph);
    void (*gallocr_free)(void *allocator);
    void (*threadpool_params_init)(void *params, int threads);
    void (*backend_load_all_from_path)(const char *folder);
    void *(*backend_dev_by_type)(int type);
    void *(*backend_dev_init)(void *device, const char *params);
    void *(*backend_dev_backend_reg)(void *device);
    void *(*backend_dev_buffer_type)(void *device);
    void *(*backend_reg_get_proc_address)(void *registry, const char *name);
    const char *(*backend_buft_name)(void *buffer_type);
    void *(*backend_alloc_ctx_tensors_from_buft)(void *context, void *buffer_type);
    void (*backend_buffer_free)(void *buffer);
    void (*backend_tensor_set)(void *tensor, const void *data, size_t offset, size_t bytes);
    void (*backend_tensor_get)(const void *tensor, void *data, size_t offset, size_t bytes);
    int (*backend_graph_compute)(void *backend, void *graph);
    void (*backend_free)(void *backend);
};

class GgmlLibrary {
  public:
    // Lets ggml choose the best CPU library of the folder. Throws std::runtime_error, which names
    // what is missing.
    GgmlLibrary(const std::string &folder, int threads);
    ~GgmlLibrary();
    GgmlLibrary(const GgmlLibrary &) = delete;

    const GgmlFunctions &functions() const { return functions_; }
    void *backend() const { return backend_; }
    void *plain_buffers() const { return plain_; }
    void *repack_buffers() const { return repack_; }        // nullptr: this library has none
    const std::string &variant() const { return variant_; } // "sapphirerapids", ...
    void sleep() {
        pause_(pool_);
    } // its threads spin for long after work; the next work wakes them

  private:
    void open(const std::string &folder);
    void start_threads(void *registry, int threads);
    GgmlFunctions functions_{};
    void *backend_ = nullptr, *plain_ = nullptr, *repack_ = nullptr, *pool_ = nullptr;
    void (*pause_)(void *pool) = nullptr;
    void (*free_pool_)(void *pool) = nullptr;
    std::string variant_;
};

} // namespace ds4::bench
