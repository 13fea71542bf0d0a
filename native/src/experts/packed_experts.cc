#include "experts/packed_experts.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/fail.h"
#include "base/load_progress.h"
#include "base/thread_pool.h"
#include "ds4.h"
#include "experts/expert_options.h"
#include "experts/library_support.h"
#include "machine/topology.h"
#include "machine/usable_cores.h"
#include "model/model.h"

namespace ds4 {
namespace {

constexpr std::chrono::milliseconds kReportPause{100};

std::string options_text(const ExpertOptions &options, const char *isa, const char *numerics,
                         int engine_threads) {
    std::string text = std::string("{\"isa\":\"") + isa + "\",\"numerics\":\"" + numerics + "\"";
    if (engine_threads > 0) text += ",\"external\":" + std::to_string(engine_threads);
    if (options.threads > 0) text += ",\"threads\":" + std::to_string(options.threads);
    if (options.parts > 0) text += ",\"parts\":" + std::to_string(options.parts);
    return text + "}";
}

ds4_status status_of(int code) {
    return code == KTB_ERR_MEMORY     ? DS4_ERR_DEVICE_MEMORY
           : code == KTB_ERR_FORMAT   ? DS4_ERR_FORMAT
           : code == KTB_ERR_IO       ? DS4_ERR_IO
           : code == KTB_ERR_ARGUMENT ? DS4_ERR_ARGUMENT
                                      : DS4_ERR_INTERNAL;
}

using ByteRange = std::pair<const uint8_t *, const uint8_t *>;

// The mapped bytes of a layer's experts with neighbours joined: a few ranges in place of thousands
// of tensors.
std::vector<ByteRange> ranges_of(const LayerTensors &layer) {
    std::vector<ByteRange> all, joined;
    for (const auto *matrices : {&layer.gate, &layer.up, &layer.down})
        for (const TensorView &matrix : *matrices) {
            all.emplace_back(matrix.data, matrix.data + matrix.data_bytes());
            if (matrix.scales != nullptr)
                all.emplace_back(matrix.scales, matrix.scales + matrix.scale_bytes());
        }
    std::sort(all.begin(), all.end());
    for (const ByteRange &range : all)
        if (!joined.empty() && range.first <= joined.back().second)
            joined.back().second = std::max(joined.back().second, range.second);
        else
            joined.push_back(range);
    return joined;
}

uint64_t bytes_of(const LayerTensors &layer) {
    uint64_t bytes = 0;
    for (const auto &[begin, end] : ranges_of(layer)) bytes += uint64_t(end - begin);
    return bytes;
}

} // namespace

PackedExperts::PackedExperts(std::unique_ptr<ExpertLibrary> library, const Setup &setup,
                             ThreadPool &pool)
    : library_(std::move(library)), call_(library_->functions()), shape_(setup.shape),
      tensors_(setup.tensors), files_(setup.files), pool_(pool), numerics_(setup.numerics),
      isa_(setup.isa), layers_(setup.layers), engine_(start(setup)) {
    for (int l = 0; l < layers_; l++) moes_.push_back(create(l));
}

PackedExperts::PackedExperts(const PackedExperts &source, ThreadPool &pool)
    : library_(source.library_), call_(library_->functions()), shape_(source.shape_),
      tensors_(source.tensors_), files_(nullptr), pool_(pool), numerics_(source.numerics_),
      isa_(source.isa_), layers_(source.layers_), uses_engine_threads_(true),
      engine_(start_on_pool(options_text({}, isa_.c_str(), numerics_.c_str(), pool.threads()))),
      packed_bytes_(source.packed_bytes_) {
    for (int l = 0; l < layers_; l++) {
        ktb_moe_t moe = nullptr;
        const int code =
            call_.moe_create_shared(engine_.get(), source.moes_[size_t(l)].get(), &moe);
        if (code != KTB_OK) fail_at(l, code, "cannot be shared");
        moes_.push_back(LayerHandle(moe, Closer{&call_}));
    }
}

PackedExperts::~PackedExperts() = default;

PackedExperts::EngineHandle PackedExperts::start_on_pool(const std::string &options) {
    const ktb_engine_t engine = call_.engine_create_json(options.c_str());
    if (engine == nullptr)
        fail(DS4_ERR_INTERNAL, "the expert library could not start again: %s",
             library_->last_error("it gives no reason").c_str());
    return EngineHandle(engine, Closer{&call_});
}

PackedExperts::EngineHandle PackedExperts::start(const Setup &setup) {
    const ExpertOptions &options = setup.options;
    ktb_engine_t engine = nullptr;
    if (library_->has_extension()) {
        uses_engine_threads_ =
            options.threads == 0 && options.parts == 0 && machine::memory_nodes() == 1;
        engine = call_.engine_create_json(options_text(options, setup.isa, setup.numerics,
                                                       uses_engine_threads_ ? pool_.threads() : 0)
                                              .c_str());
    } else {
        numerics_ = "as built";
        engine =
            call_.engine_create(options.threads > 0 ? options.threads : machine::usable_cores(),
                                options.parts > 0 ? options.parts : machine::memory_nodes());
    }
    if (engine == nullptr)
        fail(DS4_ERR_ARGUMENT, "the expert library could not start: %s",
             library_->last_error("it gives no reason").c_str());
    return EngineHandle(engine, Closer{&call_});
}

void PackedExperts::report_layer(const LoadProgress &progress, uint64_t done,
                                 uint64_t layer_bytes) const {
    uint64_t packed = 0, all = 0;
    if (call_.load_progress(engine_.get(), &packed, &all) != KTB_OK) return;
    // Until the library begins, its counts are those of the layer before, which is complete.
    if (packed < all)
        progress.reach(done + uint64_t(double(layer_bytes) * double(packed) / double(all)));
}

// A layer takes seconds: a thread tells how far it is while this one waits for the library.
int PackedExperts::load_layer(int layer, uint64_t done, const LoadProgress &progress) {
    if (!library_->has_extension()) return load_kt_kernel(layer);
    if (!progress.is_watched()) return load_matrices(layer);
    const uint64_t layer_bytes = bytes_of(tensors_[size_t(layer)]);
    std::mutex mutex;
    std::condition_variable_any wake;
    std::jthread watch([&](const std::stop_token &stop) {
        std::unique_lock lock(mutex);
        while (!wake.wait_for(lock, stop, kReportPause, [] { return false; }) &&
               !stop.stop_requested())
            report_layer(progress, done, layer_bytes);
    });
    return load_matrices(layer);
}

PackedExperts::LayerHandle PackedExperts::create(int layer) {
    const LayerTensors &t = tensors_[size_t(layer)];
    const float limit = shape_.layer[size_t(layer)].swiglu_limit;
    const ktb_moe_t moe =
        library_->has_extension()
            ? call_.moe_create_mixed(engine_.get(), layer, shape_.experts, shape_.experts_per_token,
                                     shape_.hidden, shape_.moe_intermediate_size, KTB_IO_F32,
                                     ktb_method_t(expert_method(t.gate[0].type)),
                                     ktb_method_t(expert_method(t.down[0].type)), limit)
            : call_.moe_create(engine_.get(), layer, shape_.experts, shape_.experts_per_token,
                               shape_.hidden, shape_.moe_intermediate_size, KTB_IO_F32, KTB_MXFP4,
                               32, limit);
    if (moe == nullptr) fail_at(layer, KTB_ERR_ARGUMENT, "are not for this library");
    return LayerHandle(moe, Closer{&call_});
}

template <typename Advice> void PackedExperts::advise(int layer, const Advice &advice) const {
    if (files_ == nullptr) return;
    for (const auto &[begin, end] : ranges_of(tensors_[size_t(layer)]))
        for (const MappedFile &file : *files_) advice(file, begin, end);
}

void PackedExperts::load(const LoadProgress &progress) {
    uint64_t total = 0, done = 0;
    for (int l = 0; l < layers_; l++) total += bytes_of(tensors_[size_t(l)]);
    progress.expect(total);
    for (int l = 0; l < layers_; l++) {
        if (progress.is_cancelled())
            fail(DS4_ERR_CANCELLED, "loading was cancelled at layer %d of %d", l, layers_);
        advise(l, [](const MappedFile &file, const uint8_t *begin, const uint8_t *end) {
            file.expect(begin, end);
        });
        const int code = load_layer(l, done, progress);
        if (files_ != nullptr) check_pages(*files_); // packing zeros may have failed as well
        if (code != KTB_OK) fail_at(l, code, "could not be packed");
        advise(l, [](const MappedFile &file, const uint8_t *begin, const uint8_t *end) {
            file.drop(begin, end);
        });
        done += bytes_of(tensors_[size_t(l)]);
        progress.reach(done);
    }
    packed_bytes_ = total;
}

int PackedExperts::load_matrices(int layer) {
    const LayerTensors &t = tensors_[size_t(layer)];
    std::vector<ktb_matrix> matrices[3];
    const std::vector<TensorView> *const sources[3] = {&t.gate, &t.up, &t.down};
    for (int m = 0; m < 3; m++)
        for (const TensorView &matrix :
             *sources[m]) // kt_bridge.h numbers formats as ds4.h numbers types
            matrices[m].push_back({matrix.data, matrix.scales, matrix.data_bytes(),
                                   matrix.scale_bytes(), matrix.type, 0});
    return call_.moe_load_matrices(moes_[size_t(layer)].get(), matrices[0].data(),
                                   matrices[1].data(), matrices[2].data());
}

// Part 1 of kt_bridge.h takes FP4 codes in their official order with E8M0 scales widened to bf16.
// The library may read the scales later.
int PackedExperts::load_kt_kernel(int layer) {
    const LayerTensors &t = tensors_[size_t(layer)];
    std::vector<const void *> codes[3], scales[3];
    const std::vector<TensorView> *const sources[3] = {&t.gate, &t.up, &t.down};
    for (int m = 0; m < 3; m++)
        for (const TensorView &matrix : *sources[m]) {
            const uint64_t count = matrix.scale_bytes();
            std::vector<uint16_t> &wide = kept_scales_.emplace_back(count);
            for (uint64_t i = 0; i < count; i++) wide[i] = uint16_t(matrix.scales[i] << 7);
            codes[m].push_back(matrix.data);
            scales[m].push_back(wide.data());
        }
    return call_.moe_load_weights_ptrs(moes_[size_t(layer)].get(), 32, codes[0].data(),
                                       scales[0].data(), codes[1].data(), scales[1].data(),
                                       codes[2].data(), scales[2].data(), nullptr);
}

void PackedExperts::fail_at(int layer, int code, const char *what) const {
    fail(status_of(code), "the routed experts of layer %d %s: %s", layer, what,
         library_->last_error("the library gives no reason").c_str());
}

void PackedExperts::forward(int layer, const float *x, int64_t rows, const int32_t *ids,
                            const float *route_weights, float *out, const RegionFunction &beside) {
    ktb_moe_t moe = moes_[size_t(layer)].get();
    const float limit = shape_.layer[size_t(layer)].swiglu_limit;
    if (!library_->has_extension()) {
        pool_.run(beside);
        call_.moe_forward_f32(moe, int(rows), x, out, ids, route_weights, false, limit);
        return;
    }
    // From its submission on the work has the cores.
    Interlude::run();
    const Interlude::Scope none(nullptr);
    uint64_t ticket = 0;
    int code = call_.moe_submit(moe, int(rows), x, KTB_IO_F32, out, KTB_IO_F32, ids, route_weights,
                                0, limit, &ticket);
    if (code == KTB_OK && uses_engine_threads_) {
        pool_.run([&](int worker, int workers) {
            beside(worker, workers);
            call_.engine_work(engine_.get(), worker, ticket);
        });
        code = call_.engine_wait(engine_.get(), ticket, 0);
    } else if (code == KTB_OK) {
        pool_.run(beside);
        code = call_.engine_wait(engine_.get(), ticket, -1);
    }
    if (code != KTB_OK) fail_at(layer, code, "failed");
}

std::string PackedExperts::describe() const {
    std::string out = "\"place\":\"packed\",\"layers\":" + std::to_string(layers_) +
                      ",\"bytes\":" + std::to_string(packed_bytes_) + ",\"numerics\":\"" +
                      numerics_ + "\",\"threads\":\"" + (uses_engine_threads_ ? "engine" : "own") +
                      "\"";
    if (!library_->has_extension()) return out + ",\"library\":\"kt-kernel\"";
    const std::string library = library_description();
    return library.empty() ? out : out + ",\"library\":" + library;
}

std::string PackedExperts::library_description() const {
    std::vector<char> text(size_t(std::max(call_.engine_describe(engine_.get(), nullptr, 0), 0)) +
                           4096); // numbers may grow in between
    const int length = call_.engine_describe(engine_.get(), text.data(), text.size());
    return length > 0 && size_t(length) < text.size() ? text.data() : "";
}

uint64_t PackedExperts::workspace_bytes() const {
    if (!library_->has_extension()) return 0;
    const std::string text = library_description(), name = "\"workspace_bytes\":";
    const size_t at = text.find(name);
    return at == std::string::npos ? 0
                                   : std::strtoull(text.c_str() + at + name.size(), nullptr, 10);
}

} // namespace ds4
