// Matrix products against the machine's streaming read rate. Both are measured in this run, with
// the same threads and the same kind of pages. Rates are by the clock. Shares of the read rate are
// by the processor time of all threads, which other work on the machine does not change. Prints a
// table, or with --json one object a line.
//   matvec_bench [--threads N] [--mib N] [--repeats N] [--isa NAME] [--type NAME] [--prefill]
//   [--packed] [--json]
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "backend/cpu/kernels/matmul.h"
#include "backend/cpu/kernels/strips.h"
#include "ds4.h"
#include "format/convert.h"
#include "matvec_weights.h"
#include "stream_read.h"
#include "machine/instruction_sets.h"

namespace {

using namespace ds4;
using bench::fill, bench::kTypes, bench::set_scales, bench::WeightType;
using Clock = std::chrono::steady_clock;

struct Options {
    int threads = 2, repeats = 7;
    int64_t mib = 512;
    std::string isa, type;
    bool prefill = false, packed = false, json = false;
};

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Seconds by the clock, and seconds of processor time of all threads of the process.
struct Span {
    double clock, processor;
};

double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

template <typename Body> Span timed(const Body &body) {
    const double used = processor_seconds();
    const Clock::time_point begin = Clock::now();
    body();
    const double clock = seconds_since(begin);
    return {clock, processor_seconds() - used};
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

struct Bench {
    Options options;
    ThreadPool pool;
    uint8_t *memory = nullptr;
    uint64_t bytes = 0;
    std::vector<double> read_rates;
    volatile uint64_t sink = 0;

    explicit Bench(const Options &given) : options(given), pool(given.threads) {
        bytes = uint64_t(options.mib) << 20;
        void *mapped =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) {
            std::perror("mmap");
            std::exit(1);
        }
        memory = static_cast<uint8_t *>(mapped);
        fill(memory, bytes);
    }

    // The plain read loop, all threads over their share of the memory.
    Span read_once() {
        const auto read_share = [&](int worker, int workers) {
            const WorkRange part = share(int64_t(bytes), worker, workers, 4096);
            const uint64_t word =
                bench::stream_read(memory + part.begin, uint64_t(part.end - part.begin));
            if (worker == 0) sink = word;
        };
        return timed([&] { pool.run(read_share); });
    }
};

constexpr int64_t kCols = 4096;

struct Case {
    cpu::Matrix weight;
    uint64_t bytes; // codes and scales
};

Case make_case(const Bench &bench, uint32_t type) {
    fill(bench.memory, bench.bytes);
    Case c{};
    const uint64_t row = row_bytes(type, kCols);
    const bool separate = type_traits(type)->separate_scales;
    c.weight.type = type;
    c.weight.cols = kCols;
    c.weight.rows =
        int64_t(bench.bytes / (row + (separate ? uint64_t(kCols) / 32 : 0))) / 128 * 128;
    c.weight.data = bench.memory;
    c.bytes = uint64_t(c.weight.rows) * row;
    const uint64_t code_bytes = c.bytes, scales = scale_bytes(type, uint64_t(c.weight.rows), kCols);
    if (separate) c.weight.scales = bench.memory + code_bytes;
    set_scales(type, bench.memory, code_bytes, bench.memory + code_bytes, scales);
    c.bytes += scales;
    return c;
}

// Strips of the weights, where --packed asks for them and the type has them.
struct Strips {
    std::vector<uint8_t> memory;
    Strips(const Options &options, cpu::Matrix &weight, Isa isa, cpu::Precision precision) {
        if (!options.packed || precision == cpu::Precision::f32 ||
            !cpu::has_strips(weight.type, isa))
            return;
        const uint64_t bytes = cpu::packed_bytes(weight.type, weight.rows, weight.cols);
        const int64_t strips = (weight.rows + cpu::kStripRows - 1) / cpu::kStripRows;
        memory.resize(bytes + 64);
        uint8_t *first =
            memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
        for (int64_t i = 0; i < strips; i++)
            cpu::pack_strip(weight, i, first + i * int64_t(bytes) / strips);
        weight.strips = first;
    }
};

struct Result {
    const char *scenario;
    uint32_t type;
    Isa isa;
    cpu::Precision precision;
    int64_t tokens;
    std::vector<double> rates,
        ratios; // of every repeat; ratios to the read rate next to it, if measured
};

void report(const Options &options, const Result &r) {
    const double rate = median(r.rates), best = *std::max_element(r.rates.begin(), r.rates.end());
    const double ratio = r.ratios.empty() ? 0 : median(r.ratios);
    const char *precision_name = r.precision == cpu::Precision::f32    ? "f32"
                                 : r.precision == cpu::Precision::int8 ? "int8"
                                                                       : "bf16";
    const char *unit = std::strcmp(r.scenario, "matvec") == 0 ? "GB/s" : "GFLOP/s";
    if (options.json) {
        std::printf("{\"scenario\":\"%s\",\"type\":\"%s\",\"isa\":\"%s\",\"precision\":\"%s\","
                    "\"tokens\":%lld,"
                    "\"threads\":%d,\"repeats\":%d,\"unit\":\"%s\",\"median\":%.2f,\"best\":%.2f,"
                    "\"read_ratio\":%.4f}\n",
                    r.scenario, type_traits(r.type)->name, isa_name(r.isa), precision_name,
                    (long long)r.tokens, options.threads, options.repeats, unit, rate, best, ratio);
    } else {
        std::printf("%-8s %-11s %-8s %-5s %4lld  %9.2f %-8s best %9.2f", r.scenario,
                    type_traits(r.type)->name, isa_name(r.isa), precision_name, (long long)r.tokens,
                    rate, unit, best);
        if (ratio > 0) std::printf("  %5.1f %% of read", 100 * ratio);
        std::printf("\n");
    }
    std::fflush(stdout);
}

// Each repeat measures the read rate next to the product, so that the ratio survives a noisy
// neighbour.
void run_matvec(Bench &bench, uint32_t type, Isa isa, cpu::Precision precision) {
    Case c = make_case(bench, type);
    const Strips strips(bench.options, c.weight, isa, precision);
    std::vector<float> x(kCols), y(size_t(c.weight.rows));
    for (size_t i = 0; i < x.size(); i++) x[i] = float(int(i * 37 % 101) - 50) / 50.0f;
    std::vector<uint8_t> scratch(cpu::activation_bytes(1, kCols, precision) + 64);
    void *aligned = reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) &
                                             ~uintptr_t(63));
    const cpu::Activations prepared =
        cpu::prepare_activations(bench.pool, isa, x.data(), 1, kCols, precision, aligned);
    cpu::Product product{};
    product.weight = c.weight, product.x = &prepared, product.count = 1, product.y = y.data();
    product.y_stride = c.weight.rows;
    std::vector<double> rates, ratios;
    for (int repeat = 0; repeat < bench.options.repeats; repeat++) {
        const Span before = bench.read_once();
        const Span span = timed([&] { cpu::multiply(bench.pool, isa, {&product, 1}); });
        const Span after = bench.read_once();
        const double bytes = double(c.bytes), read_bytes = double(bench.bytes);
        bench.read_rates.push_back(read_bytes / before.clock / 1e9);
        rates.push_back(bytes / span.clock / 1e9);
        ratios.push_back(bytes / span.processor * 0.5 * (before.processor + after.processor) /
                         read_bytes);
    }
    report(bench.options, {"matvec", type, isa, precision, 1, rates, ratios});
}

void run_prefill(Bench &bench, uint32_t type, Isa isa, cpu::Precision precision, int64_t tokens) {
    Case c = make_case(bench, type);
    c.weight.rows = std::min<int64_t>(c.weight.rows, 2048);
    const Strips strips(bench.options, c.weight, isa, precision);
    std::vector<float> x(size_t(kCols * tokens)), y(size_t(c.weight.rows * tokens));
    for (size_t i = 0; i < x.size(); i++) x[i] = float(int(i * 37 % 101) - 50) / 50.0f;
    std::vector<uint8_t> scratch(cpu::activation_bytes(tokens, kCols, precision) + 64);
    void *aligned = reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) &
                                             ~uintptr_t(63));
    const cpu::Activations prepared =
        cpu::prepare_activations(bench.pool, isa, x.data(), tokens, kCols, precision, aligned);
    cpu::Product product{};
    product.weight = c.weight, product.x = &prepared, product.count = tokens, product.y = y.data();
    product.y_stride = c.weight.rows;
    std::vector<double> rates;
    for (int repeat = 0; repeat < bench.options.repeats; repeat++) {
        const Clock::time_point begin = Clock::now();
        cpu::multiply(bench.pool, isa, {&product, 1});
        rates.push_back(2.0 * double(tokens * c.weight.rows * kCols) / seconds_since(begin) / 1e9);
    }
    report(bench.options, {"prefill", type, isa, precision, tokens, rates, {}});
}

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; i++) {
        const std::string flag = argv[i];
        const auto value = [&]() -> const char * {
            if (i + 1 >= argc) {
                std::fprintf(stderr, "%s needs a value\n", flag.c_str());
                std::exit(2);
            }
            return argv[++i];
        };
        if (flag == "--threads")
            options.threads = std::atoi(value());
        else if (flag == "--mib")
            options.mib = std::atoll(value());
        else if (flag == "--repeats")
            options.repeats = std::atoi(value());
        else if (flag == "--isa")
            options.isa = value();
        else if (flag == "--type")
            options.type = value();
        else if (flag == "--prefill")
            options.prefill = true;
        else if (flag == "--packed")
            options.packed = true;
        else if (flag == "--json")
            options.json = true;
        else {
            std::fprintf(stderr, "usage: matvec_bench [--threads N] [--mib N] [--repeats N] [--isa "
                                 "NAME] [--type NAME] "
                                 "[--prefill] [--packed] [--json]\n");
            std::exit(2);
        }
    }
    if (options.threads < 1 || options.repeats < 1 || options.mib < 16) {
        std::fprintf(stderr, "--threads and --repeats must be at least 1, --mib at least 16\n");
        std::exit(2);
    }
    return options;
}

} // namespace

int main(int argc, char **argv) {
    const Options options = parse(argc, argv);
    Bench bench(options);
    for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
        if (!machine::has(isa) || (!options.isa.empty() && options.isa != isa_name(isa))) continue;
        for (const WeightType &weight : kTypes) {
            if (!options.type.empty() && options.type != type_traits(weight.type)->name) continue;
            for (const cpu::Precision precision :
                 {cpu::Precision::int8, cpu::Precision::int8_bf16, cpu::Precision::f32}) {
                if (precision == cpu::Precision::int8 && !weight.int8) continue;
                if (precision == cpu::Precision::int8_bf16 &&
                    (!options.packed || weight.type != DS4_TYPE_F8_E4M3 ||
                     !cpu::has_strips(weight.type, isa)))
                    continue;
                if (!options.prefill)
                    run_matvec(bench, weight.type, isa, precision);
                else
                    for (const int64_t tokens : {1, 2, 3, 4, 6, 8, 16, 64, 256, 512})
                        run_prefill(bench, weight.type, isa, precision, tokens);
            }
        }
    }
    if (!bench.read_rates.empty()) {
        const double read = median(bench.read_rates);
        if (options.json)
            std::printf("{\"scenario\":\"read\",\"threads\":%d,\"unit\":\"GB/s\",\"rate\":%.2f}\n",
                        options.threads, read);
        else
            std::printf("streaming read, %d threads: %.2f GB/s\n", options.threads, read);
    }
    return 0;
}
