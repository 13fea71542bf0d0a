// The facts of machine/ as one JSON object, collected at the first call.
#include <cstdio>
#include <string>
#include <vector>

#include "api/boundary.h"
#include "base/allowed_cpus.h"
#include "base/json.h"
#include "ds4.h"
#include "machine/control_groups.h"
#include "machine/cpu_model.h"
#include "machine/gpus.h"
#include "machine/instruction_sets.h"
#include "machine/memory.h"
#include "machine/topology.h"
#include "machine/usable_cores.h"

namespace ds4::api {
namespace {

std::string list(const std::vector<std::string> &values) {
    std::string text;
    for (const std::string &value : values) text += (text.empty() ? "" : ",") + value;
    return "[" + text + "]";
}

std::string quoted_list(const std::vector<std::string> &values) {
    std::vector<std::string> quoted;
    for (const std::string &value : values) quoted.push_back(json_quoted(value));
    return list(quoted);
}

std::string quoted_or_null(const std::string &text) {
    return text.empty() ? "null" : json_quoted(text);
}

std::string bytes_or_null(uint64_t bytes, uint64_t unknown) {
    return bytes == unknown ? "null" : std::to_string(bytes);
}

std::string cpu_members() {
    std::vector<std::string> sets;
    for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        if (machine::has(isa)) sets.push_back(isa_name(isa));
    const double quota = machine::cpu_quota();
    char quota_text[32] = "null";
    if (quota > 0) std::snprintf(quota_text, sizeof quota_text, "%.2f", quota);
    return "\"cpu\":" + json_quoted(machine::cpu_model()) +
           ",\"features\":" + quoted_list(machine::cpu_features()) +
           ",\"isa\":" + json_quoted(isa_name(machine::best_isa())) +
           ",\"isas\":" + quoted_list(sets) +
           ",\"usable_cores\":" + std::to_string(machine::usable_cores()) +
           ",\"affinity_cpus\":" + std::to_string(ds4::allowed_cpus().size()) +
           ",\"cgroup_cpus\":" + quota_text;
}

std::string memory_members() {
    return "\"numa_nodes\":" + std::to_string(machine::memory_nodes()) +
           ",\"memory_bytes\":" + bytes_or_null(machine::total_memory(), 0) +
           ",\"available_memory_bytes\":" + bytes_or_null(machine::available_memory(), UINT64_MAX);
}

std::string gpu_members() {
    const machine::GpuReport report = machine::read_gpus();
    std::vector<std::string> devices;
    for (const machine::Gpu &gpu : report.gpus)
        devices.push_back("{\"name\":" + json_quoted(gpu.name) + ",\"memory_bytes\":" +
                          std::to_string(gpu.memory_bytes) + ",\"compute_capability\":\"" +
                          std::to_string(gpu.major) + "." + std::to_string(gpu.minor) +
                          "\",\"multiprocessors\":" + std::to_string(gpu.multiprocessors) + "}");
    return "\"cuda_driver\":" + quoted_or_null(report.driver_version) +
           ",\"cuda_version\":" + quoted_or_null(report.cuda_version) +
           ",\"cuda_problem\":" + quoted_or_null(report.problem) +
           ",\"cuda_devices\":" + list(devices);
}

} // namespace
} // namespace ds4::api

extern "C" const char *ds4_machine(void) {
    using namespace ds4::api;
    return guarded_value("{}", [] {
        static const std::string text =
            "{" + cpu_members() + "," + memory_members() + "," + gpu_members() + "}";
        return text.c_str();
    });
}
