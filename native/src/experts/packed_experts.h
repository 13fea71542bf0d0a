// The routed experts of an engine's layers, packed and computed by the expert library
// (kt_bridge.h).
//
// Threads: on one NUMA node the library runs on the engine's own pool, so that no two pools compete
// for a core. With several nodes, or when asked for, it has workers of its own, pinned to the cores
// of each node.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "experts/expert_options.h"
#include "experts/expert_library.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/weights.h"
#include "model/mapped_file.h"

namespace ds4::cpu {

class PackedExperts {
  public:
    struct Setup {
        const Shape &shape;
        const ExpertOptions &options;
        const char *isa; // of the library: the engine's own, whose results do not depend on the
                         // other tokens of a step
        const char *numerics;
        int layers;                               // the first ones
        const std::vector<LayerWeights> &weights; // outlive load()
        const std::vector<MappedFile>
            *files; // that the weights lie in, whose pages are given up; nullable
    };
    // Starts the library's workers and makes its layers; no weights yet. Throws
    // Error(DS4_ERR_ARGUMENT) for what the library cannot do.
    PackedExperts(std::unique_ptr<ExpertLibrary> library, const Setup &setup, ThreadPool &pool);
    ~PackedExperts();
    PackedExperts(const PackedExperts &) = delete;

    // Packs the layers one after another and gives up the file's pages behind each. Throws
    // DS4_ERR_FORMAT for a damaged scale, DS4_ERR_DEVICE_MEMORY, DS4_ERR_CANCELLED when
    // options.progress says so.
    void load();

    bool has(int layer) const { return layer < layers_; }
    // out [rows, hidden] f32 = sum over the routes of each row. x [rows, hidden] f32; ids,
    // route_weights [rows, used]. Throws Error(DS4_ERR_INTERNAL) with the library's text.
    void forward(int layer, const float *x, int64_t rows, const int32_t *ids,
                 const float *route_weights, float *out);

    std::string describe() const; // JSON object members, without braces

  private:
    struct Closer { // of handles of the library
        const ExpertFunctions *functions;
        void operator()(ktb_engine_t engine) const { functions->engine_destroy(engine); }
        void operator()(ktb_moe_t moe) const { functions->moe_destroy(moe); }
    };
    using EngineHandle = std::unique_ptr<ktb_engine, Closer>;
    using LayerHandle = std::unique_ptr<ktb_moe, Closer>;

    EngineHandle start(const Setup &setup);
    LayerHandle create(int layer);
    int load_matrices(int layer);
    int load_published(int layer);
    [[noreturn]] void fail_at(int layer, int code, const char *what) const;
    void report(uint64_t done, uint64_t total) const;
    template <typename Advice>
    void advise(int layer, const Advice &advice) const; // advice(file, begin, end)

    std::unique_ptr<ExpertLibrary> library_;
    const ExpertFunctions &call_;
    const Shape &shape_;
    const std::vector<LayerWeights> &weights_;
    const std::vector<MappedFile> *files_;
    ThreadPool &pool_;
    ds4_load_progress *progress_;
    std::string numerics_;
    int layers_;
    bool lends_threads_ = false; // the engine's own pool runs the library's work
    EngineHandle engine_;
    std::vector<LayerHandle> moes_; // after engine_: destroyed before it
    std::vector<std::vector<uint16_t>>
        kept_scales_; // the published library reads them for as long as it lives
    uint64_t packed_bytes_ = 0;
};

} // namespace ds4::cpu
