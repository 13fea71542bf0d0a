#include "machine/gpus.h"

#include <cctype>
#include <cstdlib>
#include <sstream>

namespace ds4::machine {
namespace {

constexpr const char *kDriverLibrary = "libcuda.so.1";
// CUdevice_attribute
constexpr int kMultiprocessors = 16, kCapabilityMajor = 75, kCapabilityMinor = 76;

std::string explained(const CudaDriver &driver, const char *call, CudaDriver::Result result) {
    const char *text = nullptr;
    if (driver.error_string(result, &text) != 0 || text == nullptr) text = "unknown error";
    return std::string(call) + " failed: " + text + " (" + std::to_string(result) + ")";
}

bool read_gpu(const CudaDriver &driver, int ordinal, Gpu &gpu) {
    CudaDriver::Device device = 0;
    char name[256] = {};
    size_t bytes = 0;
    if (driver.device_get(&device, ordinal) != 0 ||
        driver.device_name(name, int(sizeof name) - 1, device) != 0 ||
        driver.device_memory(&bytes, device) != 0 ||
        driver.device_attribute(&gpu.major, kCapabilityMajor, device) != 0 ||
        driver.device_attribute(&gpu.minor, kCapabilityMinor, device) != 0 ||
        driver.device_attribute(&gpu.multiprocessors, kMultiprocessors, device) != 0)
        return false;
    gpu.name = name;
    gpu.memory_bytes = bytes;
    return true;
}

bool is_version(const std::string &word) {
    return word.find('.') != std::string::npos &&
           word.find_first_not_of("0123456789.") == std::string::npos;
}

} // namespace

GpuReport read_gpus(const CudaDriver &driver) {
    GpuReport report;
    int version = 0, count = 0;
    if (driver.driver_version(&version) == 0 && version > 0)
        report.cuda_version =
            std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
    if (const CudaDriver::Result result = driver.init(0); result != 0) {
        report.problem = explained(driver, "cuInit", result);
        return report;
    }
    if (const CudaDriver::Result result = driver.device_count(&count); result != 0) {
        report.problem = explained(driver, "cuDeviceGetCount", result);
        return report;
    }
    for (int ordinal = 0; ordinal < count; ordinal++)
        if (Gpu gpu{}; read_gpu(driver, ordinal, gpu)) report.gpus.push_back(gpu);
    if (report.gpus.empty()) report.problem = "the driver shows no device";
    return report;
}

GpuReport read_gpus() {
    GpuReport report;
    CudaDriver driver;
    if (open_cuda_driver(kDriverLibrary, driver, report.problem)) report = read_gpus(driver);
    report.driver_version = kernel_module_version();
    const char *visible = std::getenv("CUDA_VISIBLE_DEVICES");
    if (report.gpus.empty() && visible != nullptr)
        report.problem += std::string(" (CUDA_VISIBLE_DEVICES is \"") + visible + "\")";
    return report;
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Tue ..."
std::string kernel_module_version(const SystemFiles &files) {
    std::istringstream words(files.first_line("/proc/driver/nvidia/version"));
    for (std::string word; words >> word;)
        if (is_version(word)) return word;
    return "";
}

} // namespace ds4::machine
