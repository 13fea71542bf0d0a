// Loads a checkpoint from the page cache, against a plain copy of the same bytes, and tells its
// memory.
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moe/checkpoint.h"
#include "moe/suites.h"
#include "moe/turns.h"
#include "machine/memory.h"

namespace ds4::bench {
namespace {

constexpr size_t kPieceBytes = size_t(1) << 20;
constexpr int kRounds = 5;
constexpr double kMemoryShare =
    0.2; // of what is free: a larger load would drop the pages that it has read

class Shard {
  public:
    explicit Shard(const std::string &path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        struct stat facts;
        if (file_ < 0 || fstat(file_, &facts) != 0) throw std::runtime_error("cannot open " + path);
        bytes = size_t(facts.st_size);
    }
    ~Shard() { close(file_); }
    Shard(const Shard &) = delete;
    // Reads a range; false when the file does not give all of it.
    bool read(uint8_t *target, size_t at, size_t count) const {
        return pread(file_, target, count, off_t(at)) == ssize_t(count);
    }
    size_t bytes = 0;

  private:
    int file_;
};

// Seconds to read all shards into fresh memory with plain reads of all workers.
double copy_seconds(const std::vector<std::string> &paths, PoolRunner &runner) {
    std::vector<std::unique_ptr<Shard>> shards;
    std::vector<std::pair<size_t, size_t>> pieces; // shard, offset
    size_t total = 0;
    for (const std::string &path : paths) {
        shards.push_back(std::make_unique<Shard>(path));
        for (size_t at = 0; at < shards.back()->bytes; at += kPieceBytes)
            pieces.emplace_back(shards.size() - 1, at);
        total += (shards.back()->bytes + kPieceBytes - 1) / kPieceBytes * kPieceBytes;
    }
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    const ktb::Mapping target(
        total,
        {}); // touched first by the reads; giving it back is not timed, as for a loaded layer
    const double seconds = seconds_of([&] {
        runner.run([&](const ktb::Worker &) {
            for (size_t piece = next.fetch_add(1); piece < pieces.size();
                 piece = next.fetch_add(1)) {
                const auto [shard, at] = pieces[piece];
                if (!shards[shard]->read(target.data() + piece * kPieceBytes, at,
                                         std::min(kPieceBytes, shards[shard]->bytes - at)))
                    failed = true;
            }
        });
    });
    if (failed) throw std::runtime_error("a generated shard could not be read");
    return seconds;
}

class OpenFolder {
  public:
    explicit OpenFolder(const char *folder) : tensors(ktb_safetensor_open(folder)) {
        if (tensors == nullptr) throw std::runtime_error(ktb_last_error());
    }
    ~OpenFolder() { ktb_safetensor_close(tensors); }
    OpenFolder(const OpenFolder &) = delete;
    const ktb_safetensor_t tensors;
};

double load_seconds(const char *folder, ExpertLayers &layers) {
    const OpenFolder open(folder);
    std::vector<int> indices;
    for (int layer = 0; layer < layers.layers(); layer++) indices.push_back(layer);
    int code = 0;
    const double seconds = seconds_of([&] {
        code = ktb_load_layers(layers.engine(), open.tensors, layers.layers(),
                               layers.handles().data(), indices.data(), 0);
    });
    if (code != KTB_OK) throw std::runtime_error(ktb_last_error());
    return seconds;
}

// Runs this program again on the checkpoint; bytes of its peak memory.
double peak_bytes(const Checkpoint &checkpoint, const Settings &settings, int layers) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
    const std::vector<std::string> words = {"kt_moe_bench",
                                            "--peak-of",
                                            checkpoint.folder(),
                                            "--layers",
                                            std::to_string(layers),
                                            "--experts",
                                            std::to_string(settings.shape.experts),
                                            "--hidden",
                                            std::to_string(settings.shape.hidden),
                                            "--intermediate",
                                            std::to_string(settings.shape.intermediate),
                                            "--threads",
                                            std::to_string(settings.threads)};
    std::vector<char *> arguments;
    for (const std::string &word : words) arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execv("/proc/self/exe", arguments.data());
        _exit(127);
    }
    close(ends[1]);
    char text[64] = {};
    const ssize_t got = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || got <= 0)
        throw std::runtime_error("the process that measures peak memory failed");
    return std::atof(text);
}

} // namespace

int load_and_report_memory(const char *folder, const Settings &settings) {
    ExpertLayers layers({"auto", "int8"}, settings.shape, settings.layers, settings.threads, 1);
    load_seconds(folder, layers);
    std::ifstream file("/proc/self/status");
    std::string word;
    uint64_t kilobytes = 0;
    while (file >> word)
        if (word == "VmHWM:" && file >> kilobytes) break;
    std::printf("%llu\n", (unsigned long long)(kilobytes * 1024));
    return kilobytes > 0 ? 0 : 1;
}

void measure_loading(Bench &bench) {
    Settings settings = bench.settings;
    Shape &shape = settings.shape;
    const double wanted = std::min(double(settings.load_mib) * (1 << 20),
                                   double(machine::available_memory()) * kMemoryShare);
    shape.experts = std::max(12, std::min(shape.experts, int(wanted / shape.expert_bytes())));
    const int layers = std::max(1, int(wanted / double(settings.layer_bytes())));
    const double bytes = double(settings.layer_bytes()) * layers;
    const Checkpoint checkpoint(settings.folder, shape, layers, bench.source);
    PoolRunner runner(settings.threads, settings.parts);
    Samples copies, loads, packs;
    for (int round = 0; round < kRounds; round++) {
        std::this_thread::sleep_for(kPause);
        copies.seconds.push_back(copy_seconds(checkpoint.shards(), runner));
        ExpertLayers loaded({"auto", "int8"}, shape, layers, settings.threads, settings.parts);
        loads.seconds.push_back(load_seconds(checkpoint.folder().c_str(), loaded));
        packs.seconds.push_back(
            seconds_of([&] { loaded.load(bench.source); })); // from memory: the share of packing
    }
    const double peak = peak_bytes(checkpoint, settings, layers) / bytes;
    const double ratio = loads.first_decile() / copies.first_decile();
    bench.report.row("loading", {{"gib", bytes / (1 << 30)},
                                 {"copy_gb_per_s", bytes / copies.first_decile() / 1e9},
                                 {"load_gb_per_s", bytes / loads.first_decile() / 1e9},
                                 {"of_copy_time", ratio},
                                 {"of_copy_time_median", loads.median() / copies.median()},
                                 {"pack_gb_per_s", bytes / packs.first_decile() / 1e9},
                                 {"peak_of_weights", peak}});
    bench.report.at_most("loading from the page cache: time over a plain copy", ratio, 1.2);
    bench.report.at_most("loading: peak memory over the weights", peak, 1.03);
}

} // namespace ds4::bench
