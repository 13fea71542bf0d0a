#include "moe/settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "pool/memory.h"
#include "machine/topology.h"
#include "machine/memory.h"

namespace ds4::bench {

const char kUsage[] =
    "usage: kt_moe_bench [FLAGS]\n"
    "  --full            every suite at full size; else a subset in about a minute\n"
    "  --suites A,B       only these: rates, decode, prefill, scaling, methods, calibration,\n"
    "                    loading, peer\n"
    "  --ggml DIR        folder of libggml-base.so and libggml-cpu-*.so, for the peer suite\n"
    "  --json FILE       the report as JSON; - for the standard output, without the table\n"
    "  --isa NAME, --numerics NAME   only kernels of this instruction set, of these activations\n"
    "  --threads N       workers; default: all usable cores\n"
    "  --parts N         parts that the experts are split over; default 1\n"
    "  --layers N, --experts N   of the measured layers; default: by free memory\n"
    "  --hidden N, --intermediate N   sizes; default: 4096 and 2048, those of Flash\n"
    "  --per-expert N    most tokens an expert in the prefill suite, default 512\n"
    "  --seconds S       of each measurement\n"
    "  --load-mib N      size of the generated checkpoint of the loading suite\n"
    "  --read-mib N      memory that the reads pass over, far above every cache; default: 512, "
    "1024 with --full\n"
    "  --folder DIR      where it is generated; default: the system's temporary folder\n";

namespace {

// Share of free memory for the layers of one kind. The peer suite holds three copies.
constexpr double kMemoryShare = 0.3;

int integer(const std::string &flag, const std::string &text, int low, int high) {
    char *end = nullptr;
    const long value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || value < low || value > high)
        throw std::invalid_argument(flag + " is " + text + "; expected " + std::to_string(low) +
                                    ".." + std::to_string(high));
    return int(value);
}

std::vector<std::string> suites_of(const std::string &text) {
    std::vector<std::string> suites;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(',', begin), text.size());
        const std::string suite = text.substr(begin, end - begin);
        if (std::find(std::begin(kSuites), std::end(kSuites), suite) == std::end(kSuites))
            throw std::invalid_argument("there is no suite \"" + suite + "\"");
        suites.push_back(suite);
        begin = end + 1;
    }
    return suites;
}

void set(Settings &settings, const std::string &flag, const std::string &value) {
    if (flag == "--suites")
        settings.suites = suites_of(value);
    else if (flag == "--ggml")
        settings.ggml = value;
    else if (flag == "--json")
        settings.json = value;
    else if (flag == "--folder")
        settings.folder = value;
    else if (flag == "--isa")
        settings.isa = value;
    else if (flag == "--numerics")
        settings.numerics = value;
    else if (flag == "--per-expert")
        settings.per_expert = integer(flag, value, 2, 512);
    else if (flag == "--threads")
        settings.threads = integer(flag, value, 1, 4096);
    else if (flag == "--parts")
        settings.parts = integer(flag, value, 1, 64);
    else if (flag == "--layers")
        settings.layers = integer(flag, value, 1, 64);
    else if (flag == "--experts")
        settings.shape.experts = integer(flag, value, 12, 1024);
    else if (flag == "--hidden")
        settings.shape.hidden = integer(flag, value, 128, 1 << 16);
    else if (flag == "--intermediate")
        settings.shape.intermediate = integer(flag, value, 128, 1 << 16);
    else if (flag == "--load-mib")
        settings.load_mib = size_t(integer(flag, value, 1, 1 << 20));
    else if (flag == "--read-mib")
        settings.read_mib = size_t(integer(flag, value, 1, 1 << 16));
    else if (flag == "--seconds") {
        char *end = nullptr;
        settings.seconds = std::strtod(value.c_str(), &end);
        if (value.empty() || *end != '\0' || !(settings.seconds > 0))
            throw std::invalid_argument("--seconds is " + value + "; expected more than 0");
    } else
        throw std::invalid_argument("there is no flag " + flag);
}

void choose(Settings &settings) {
    const machine::Topology topology = machine::read_topology();
    if (settings.threads == 0) settings.threads = std::max(settings.parts, topology.usable);
    if (settings.seconds == 0) settings.seconds = settings.full ? 1.5 : 0.4;
    if (settings.shape.experts == 0) settings.shape.experts = settings.full ? 256 : 48;
    if (settings.load_mib == 0) settings.load_mib = settings.full ? 3 << 10 : 512;
    if (settings.read_mib == 0) settings.read_mib = settings.full ? 1 << 10 : 512;
    if (settings.folder.empty()) settings.folder = std::filesystem::temp_directory_path().string();
    const double limit = double(machine::available_memory()) * kMemoryShare;
    while (settings.shape.experts > 12 && double(settings.layer_bytes()) > limit)
        settings.shape.experts /= 2;
    const int fitting = std::max(1, int(limit / double(settings.layer_bytes())));
    if (settings.layers == 0)
        settings.layers = std::min(fitting, settings.full ? 4 : 2);
    else if (settings.layers > fitting)
        throw std::invalid_argument(std::to_string(settings.layers) + " layers of " +
                                    std::to_string(settings.layer_bytes() >> 20) +
                                    " MiB do not fit: at most " + std::to_string(fitting) +
                                    " do, or take fewer --experts");
}

} // namespace

bool Settings::wants(const std::string &suite) const {
    if (!suites.empty()) return std::find(suites.begin(), suites.end(), suite) != suites.end();
    return suite != "peer" || !ggml.empty();
}

Settings parse_settings(int argc, char **argv) {
    Settings settings;
    for (int i = 1; i < argc; i++) {
        const std::string flag = argv[i];
        if (flag == "--full") {
            settings.full = true;
            continue;
        }
        if (i + 1 >= argc) throw std::invalid_argument(flag + " needs a value, or is no flag");
        set(settings, flag, argv[++i]);
    }
    choose(settings);
    return settings;
}

} // namespace ds4::bench
