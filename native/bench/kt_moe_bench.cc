// Routed experts of Flash shape: decode against the streaming read rate of the same threads, and prefill by tokens
// per expert. kt_moe_bench [--experts N] [--threads N] [--parts N] [--seconds S] [--json]
//
// Weight bytes are canonical ones (codes + one-byte scales). A read of the bytes of one token and a one-token call
// alternate; the first decile of each counts, so that a neighbour's load hits both alike and neither gets a lucky run.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <immintrin.h>
#include <string>
#include <vector>

#include "experts/engine.h"
#include "experts/reference.h"
#include "kt_bridge.h"

namespace {

using namespace ds4::ktb;
using Clock = std::chrono::steady_clock;

constexpr int kHidden = 4096, kInner = 2048, kUsed = 6;
constexpr double kExpertBytes = 3.0 * kHidden * kInner / 32 * 17;
constexpr double kExpertFlop = 6.0 * kHidden * kInner; // a token through one expert
constexpr size_t kReadBytes = size_t(512) << 20;

struct Settings {
    int experts = 64, threads = 0, parts = 1;
    double seconds = 1.0; // of each measurement
    bool json = false;
};

struct Result {
    std::string name;
    double value;
};

double seconds_of(const std::function<void()> &body) {
    const auto begin = Clock::now();
    body();
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Runs steps on the workers of a pool and waits for each.
class PoolRunner {
  public:
    explicit PoolRunner(const PoolOptions &options) : pool_(options, read_topology()) {}
    void run(void (*step)(void *, const Worker &), void *context) {
        const uint32_t seen = done_.value();
        pool_.start({step, context, [](void *self) { static_cast<PoolRunner *>(self)->done_.advance(); }, this});
        done_.wait(seen, 0);
    }

  private:
    Signal done_;
    WorkerPool pool_;
};

// One pass over `bytes` from `data`, shared by all workers.
struct ReadJob {
    const uint8_t *data;
    size_t bytes;
};

// The widest loads of this CPU: 16-byte loads reach 24 GB/s where 64-byte ones reach 39 (Zen 5, one core).
__attribute__((target("avx512f"))) void read_avx512(const uint8_t *data, size_t bytes) {
    __m512i sums[4] = {};
    for (size_t at = 0; at < bytes; at += 256)
        for (size_t i = 0; i < 4; i++) sums[i] = _mm512_xor_si512(sums[i], _mm512_load_si512(data + at + i * 64));
    const __m512i all = _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3]));
    volatile int64_t sink = _mm_cvtsi128_si64(_mm512_castsi512_si128(all)); // keeps the loads
    (void)sink;
}

__attribute__((target("avx2"))) void read_avx2(const uint8_t *data, size_t bytes) {
    __m256i sums[4] = {};
    for (size_t at = 0; at < bytes; at += 256)
        for (size_t i = 0; i < 8; i++) sums[i % 4] = _mm256_xor_si256(sums[i % 4], _mm256_load_si256(reinterpret_cast<const __m256i *>(data + at + i * 32)));
    const __m256i all = _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
    volatile int64_t sink = _mm_cvtsi128_si64(_mm256_castsi256_si128(all));
    (void)sink;
}

void read_share(void *context, const Worker &worker) {
    const ReadJob &job = *static_cast<const ReadJob *>(context);
    const size_t lines = job.bytes / 256, begin = lines * size_t(worker.global_index) / size_t(worker.workers);
    const size_t end = lines * (size_t(worker.global_index) + 1) / size_t(worker.workers);
    (cpu_has(Isa::avx512) ? read_avx512 : read_avx2)(job.data + begin * 256, (end - begin) * 256);
}

// Copies one source of `source_bytes` over and over into `target`, as loading a layer from one expert does.
struct CopyJob {
    uint8_t *target;
    size_t bytes;
    const uint8_t *source;
    size_t source_bytes;
};

void copy_share(void *context, const Worker &worker) {
    const CopyJob &job = *static_cast<const CopyJob *>(context);
    const size_t pieces = job.bytes / job.source_bytes, begin = pieces * size_t(worker.global_index) / size_t(worker.workers);
    const size_t end = pieces * (size_t(worker.global_index) + 1) / size_t(worker.workers);
    for (size_t piece = begin; piece < end; piece++) std::memcpy(job.target + piece * job.source_bytes, job.source, job.source_bytes);
}

double first_decile(std::vector<double> &values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 10];
}

class Layer {
  public:
    Layer(const Settings &settings, const char *isa, const char *numerics) : settings_(settings) {
        std::string nodes;
        for (int i = 0; i < settings.parts; i++) nodes += i == 0 ? "0" : ",0";
        const std::string options = std::string("{\"isa\":\"") + isa + "\",\"numerics\":\"" + numerics + "\",\"threads\":" + std::to_string(settings.threads) + ",\"spin_us\":200,\"nodes\":[" + nodes + "]}"; // a worker that spins would slow the read on its core
        engine_ = ktb_engine_create_json(options.c_str());
        moe_ = ktb_moe_create(engine_, 0, settings.experts, kUsed, kHidden, kInner, KTB_IO_F32, KTB_MXFP4, 32, 10);
    }
    ~Layer() {
        ktb_moe_destroy(moe_);
        ktb_engine_destroy(engine_);
    }
    Layer(const Layer &) = delete;
    bool load() {
        // one source for all experts: the packed copies are what is measured
        const std::vector<CanonicalExpert> source = random_experts(1, kHidden, kInner, 1);
        std::vector<uint16_t> scales[3];
        std::vector<const void *> codes_of[3], scales_of[3];
        for (int matrix = 0; matrix < 3; matrix++) {
            for (uint8_t scale : source[0].scales[matrix]) scales[matrix].push_back(uint16_t(scale << 7));
            codes_of[matrix].assign(size_t(settings_.experts), source[0].codes[matrix].data());
            scales_of[matrix].assign(size_t(settings_.experts), scales[matrix].data());
        }
        load_seconds = seconds_of([&] {
            status_ = ktb_moe_load_weights_ptrs(moe_, 32, codes_of[0].data(), scales_of[0].data(), codes_of[1].data(), scales_of[1].data(), codes_of[2].data(), scales_of[2].data(), nullptr);
        });
        if (status_ != 0) std::fprintf(stderr, "kt_moe_bench: %s\n", ktb_last_error());
        return status_ == 0;
    }
    // Seconds of a one-token call with six distinct experts, others than the last time.
    double decode() {
        int32_t ids[kUsed];
        const int first = int((random_ += 0x9e3779b97f4a7c15u) >> 40) % (settings_.experts / kUsed) * kUsed;
        for (int i = 0; i < kUsed; i++) ids[i] = int32_t(first + i);
        return seconds_of([&] { ktb_moe_forward2(moe_, 1, input_.data(), KTB_IO_F32, output_.data(), KTB_IO_F32, ids, weights_, 0, 10); });
    }
    // Best seconds of a call in which each of twelve experts has `tokens` tokens; up to four calls in `seconds`.
    double prefill(int tokens, double seconds) {
        const int count = 2 * tokens;
        const std::vector<float> input = random_values(size_t(count) * kHidden, 1.0f, 4);
        std::vector<float> output(input.size()), weights(size_t(count) * kUsed, 0.5f);
        std::vector<int32_t> ids;
        for (int slot = 0; slot < count * kUsed; slot++) ids.push_back(slot / kUsed % 2 * kUsed + slot % kUsed);
        double best = 1e9, spent = 0;
        for (int run = 0; run < 4 && spent < seconds; run++) {
            const double call = seconds_of([&] { ktb_moe_forward2(moe_, count, input.data(), KTB_IO_F32, output.data(), KTB_IO_F32, ids.data(), weights.data(), 0, 10); });
            best = std::min(best, call);
            spent += call;
        }
        return best;
    }
    double load_seconds = 0;

  private:
    Settings settings_;
    ktb_engine_t engine_ = nullptr;
    ktb_moe_t moe_ = nullptr;
    int status_ = 0;
    uint64_t random_ = 1;
    std::vector<float> input_ = random_values(kHidden, 1.0f, 3), output_ = std::vector<float>(kHidden);
    float weights_[kUsed] = {0.3f, 0.25f, 0.2f, 0.15f, 0.1f, 0.5f};
};

struct Kind {
    const char *isa, *numerics;
};

void measure(const Settings &settings, const Kind &kind, const uint8_t *memory, std::vector<Result> &results) {
    Layer layer(settings, kind.isa, kind.numerics);
    if (!layer.load()) return;
    const std::string name = std::string(kind.isa) + "_" + kind.numerics;
    PoolOptions options;
    options.threads = settings.threads;
    options.parts = settings.parts;
    options.spin_us = 0; // sleeps while the layer's own workers run
    PoolRunner runner(options);
    std::vector<double> reads, decodes;
    const size_t step = size_t(kUsed * kExpertBytes) / 4096 * 4096;
    const auto begin = Clock::now();
    for (size_t round = 0; round < 20 || std::chrono::duration<double>(Clock::now() - begin).count() < settings.seconds; round++) {
        ReadJob job{memory + round % (kReadBytes / step) * step, step};
        reads.push_back(seconds_of([&] { runner.run(read_share, &job); }));
        decodes.push_back(layer.decode());
    }
    const double read_rate = double(step) / first_decile(reads) / 1e9, decode_rate = kUsed * kExpertBytes / first_decile(decodes) / 1e9;
    Mapping fresh(size_t(settings.experts) * size_t(kExpertBytes), {});
    CopyJob copy{fresh.data(), fresh.bytes(), memory, size_t(kExpertBytes)};
    const double copy_seconds = seconds_of([&] { runner.run(copy_share, &copy); });
    results.push_back({name + ".load_of_copy_time", layer.load_seconds / copy_seconds});
    results.push_back({name + ".load_gb_per_s", settings.experts * kExpertBytes / layer.load_seconds / 1e9});
    results.push_back({name + ".read_gb_per_s", read_rate});
    results.push_back({name + ".decode_gb_per_s", decode_rate});
    results.push_back({name + ".decode_of_read", decode_rate / read_rate});
    double call = 0; // sizes that would take much longer than asked are left out
    for (int tokens = 2; tokens <= 512 && call <= settings.seconds; tokens *= 2) {
        call = layer.prefill(tokens, settings.seconds);
        results.push_back({name + ".prefill_gflops_" + std::to_string(tokens), 12.0 * tokens * kExpertFlop / call / 1e9});
    }
}

bool parse(int argc, char **argv, Settings &settings) {
    for (int i = 1; i < argc; i++) {
        const std::string flag = argv[i];
        if (flag == "--json") {
            settings.json = true;
            continue;
        }
        if (i + 1 >= argc) return false;
        const double value = std::atof(argv[++i]);
        if (flag == "--experts") settings.experts = int(value);
        else if (flag == "--threads") settings.threads = int(value);
        else if (flag == "--parts") settings.parts = int(value);
        else if (flag == "--seconds") settings.seconds = value;
        else return false;
    }
    return settings.experts >= 2 * kUsed && settings.experts <= 1024 && settings.threads >= 0 && settings.parts > 0 && settings.seconds > 0;
}

} // namespace

int main(int argc, char **argv) {
    Settings settings;
    if (!parse(argc, argv, settings)) {
        std::fprintf(stderr, "usage: kt_moe_bench [--experts 12..1024] [--threads N] [--parts N] [--seconds S] [--json]\n");
        return 2;
    }
    if (settings.threads == 0) settings.threads = std::max(settings.parts, read_topology().usable);
    Mapping memory(kReadBytes, {});
    std::memset(memory.data(), 1, memory.bytes());
    std::vector<Result> results;
    for (const Kind &kind : {Kind{"avx512", "int8"}, Kind{"avx512", "bf16"}, Kind{"avx2", "int8"}, Kind{"avx2", "bf16"}})
        if (cpu_has(std::string(kind.isa) == "avx512" ? Isa::avx512 : Isa::avx2)) measure(settings, kind, memory.data(), results);
    if (settings.json) std::printf("{\"scenario\":\"moe\",\"experts\":%d,\"threads\":%d,\"parts\":%d", settings.experts, settings.threads, settings.parts);
    for (const Result &result : results) std::printf(settings.json ? ",\"%s\":%.4g" : "%-32s %10.4g\n", result.name.c_str(), result.value);
    if (settings.json) std::printf("}\n");
    return results.empty() ? 1 : 0;
}
