// The routed experts of a model's first layers, packed and computed by the expert library
// (kt_bridge.h).
//
// Threads: on one NUMA node the library runs on the engine's own pool, so that no two pools compete
// for a core. With several nodes, or when asked for, it has workers of its own, pinned to the cores
// of each node.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "experts/expert_library.h"

namespace ds4 {

class LoadProgress;
class MappedFile;
struct ExpertOptions;
struct LayerTensors;
struct Shape;

class PackedExperts {
  public:
    struct Setup {
        const Shape &shape;
        const std::vector<LayerTensors> &tensors; // by layer; these and shape outlive the object
        const std::vector<MappedFile> *files; // that hold the tensors; null: no page is given up
        const ExpertOptions &options;
        const char *isa;      // instruction set of the library, or "auto"
        const char *numerics; // arithmetic of the library
        int layers;           // number of first layers to pack
    };
    // Starts the library's workers and makes its layers, without weights. Throws
    // Error(DS4_ERR_ARGUMENT) for a layer that the library cannot hold. The pool outlives the
    // object.
    PackedExperts(std::unique_ptr<ExpertLibrary> library, const Setup &setup, ThreadPool &pool);
    // The same packed weights on another pool's threads, so that both compute at once. The source
    // is loaded and can_share().
    PackedExperts(const PackedExperts &source, ThreadPool &pool);
    ~PackedExperts();
    PackedExperts(const PackedExperts &) = delete;

    // Whether forward may be called from two threads, if each has an object of its own.
    bool can_share() const { return call_.moe_create_shared != nullptr && uses_engine_threads_; }

    // Packs the layers one after another and gives up the file's pages behind each. Throws
    // DS4_ERR_FORMAT for a damaged scale, DS4_ERR_DEVICE_MEMORY, DS4_ERR_IO for a file that is no
    // longer whole, and DS4_ERR_CANCELLED when the caller's progress asks for it.
    void load(const LoadProgress &progress);

    bool has(int layer) const { return layer < layers_; }
    uint64_t bytes() const { return packed_bytes_; }
    // Bytes that the library holds for its forwards now; 0 if it does not say. From any thread.
    uint64_t workspace_bytes() const;
    // out [rows, hidden] f32 = sum over the routes of each row. x [rows, hidden] f32; ids,
    // route_weights [rows, experts per token]. Throws Error(DS4_ERR_INTERNAL) with the library's
    // text. beside: other work, which the pool's threads do in the same region.
    void forward(int layer, const float *x, int64_t rows, const int32_t *ids,
                 const float *route_weights, float *out, const RegionFunction &beside);

    std::string describe() const; // JSON object members, without braces

  private:
    struct Closer { // for handles of the library
        const ExpertFunctions *functions;
        void operator()(ktb_engine_t engine) const { functions->engine_destroy(engine); }
        void operator()(ktb_moe_t moe) const { functions->moe_destroy(moe); }
    };
    using EngineHandle = std::unique_ptr<ktb_engine, Closer>;
    using LayerHandle = std::unique_ptr<ktb_moe, Closer>;

    EngineHandle start(const Setup &setup);
    EngineHandle start_on_pool(const std::string &options);
    LayerHandle create(int layer);
    std::string library_description() const; // JSON; empty if it does not say
    int load_matrices(int layer);
    int load_kt_kernel(int layer);
    [[noreturn]] void fail_at(int layer, int code, const char *what) const;
    // Within a layer of so many bytes, of which the library packs some at a time. done: before it.
    void report_layer(const LoadProgress &progress, uint64_t done, uint64_t layer_bytes) const;
    int load_layer(int layer, uint64_t done, const LoadProgress &progress);
    template <typename Advice>
    void advise(int layer, const Advice &advice) const; // advice(file, begin, end)

    std::shared_ptr<ExpertLibrary> library_;
    const ExpertFunctions &call_;
    const Shape &shape_;
    const std::vector<LayerTensors> &tensors_;
    const std::vector<MappedFile> *files_;
    ThreadPool &pool_;
    std::string numerics_, isa_;
    int layers_;
    bool uses_engine_threads_ = false;
    EngineHandle engine_;
    std::vector<LayerHandle> moes_; // after engine_: destroyed before it
    // kt-kernel reads these for as long as it lives.
    std::vector<std::vector<uint16_t>> kept_scales_;
    uint64_t packed_bytes_ = 0;
};

} // namespace ds4
