#include "machine/gpus.h"

#include <cstring>

#include "base/test.h"
#include "machine/machine_tree_for_tests.h"

using namespace ds4::machine;

namespace {

constexpr int kNoDevice = 100; // CUDA_ERROR_NO_DEVICE

int explain(int result, const char **text) {
    *text = result == kNoDevice ? "no CUDA-capable device is detected" : nullptr;
    return result == kNoDevice ? 0 : 1;
}

// A driver with two GPUs, of which the second one does not answer.
CudaDriver two_devices() {
    CudaDriver driver;
    driver.init = [](unsigned) { return 0; };
    driver.driver_version = [](int *version) { return *version = 12080, 0; };
    driver.device_count = [](int *count) { return *count = 2, 0; };
    driver.device_get = [](int *device, int ordinal) { return *device = ordinal + 7, 0; };
    driver.device_name = [](char *name, int, int device) {
        std::strcpy(name, "Fast One");
        return device == 7 ? 0 : 999;
    };
    driver.device_memory = [](size_t *bytes, int) { return *bytes = size_t(80) << 30, 0; };
    driver.device_attribute = [](int *value, int attribute, int) {
        *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 132;
        return 0;
    };
    driver.error_string = explain;
    return driver;
}

} // namespace

TEST("GPUs are those that answer, with name, memory and compute capability") {
    const GpuReport report = read_gpus(two_devices());
    CHECK(report.problem.empty() && report.cuda_version == "12.8");
    CHECK(report.gpus.size() == 1);
    const Gpu &gpu = report.gpus[0];
    CHECK(gpu.name == "Fast One" && gpu.memory_bytes == uint64_t(80) << 30);
    CHECK(gpu.major == 9 && gpu.minor == 0 && gpu.multiprocessors == 132);
}

TEST("a driver without a device, and one that hides all, say so") {
    CudaDriver driver = two_devices();
    driver.device_count = [](int *count) { return *count = 0, 0; };
    CHECK(read_gpus(driver).problem == "the driver shows no device");
    driver.init = [](unsigned) { return kNoDevice; };
    CHECK(read_gpus(driver).problem == "cuInit failed: no CUDA-capable device is detected (100)");
    driver.init = [](unsigned) { return 3; };
    CHECK(read_gpus(driver).problem == "cuInit failed: unknown error (3)");
}

TEST("a missing driver library and one that is none are told apart") {
    CudaDriver driver;
    std::string reason;
    CHECK(!open_cuda_driver("libds4-no-such-driver.so.1", driver, reason));
    CHECK(reason == "libds4-no-such-driver.so.1 of NVIDIA's driver is not installed");
    CHECK(!open_cuda_driver("libc.so.6", driver, reason));
    CHECK(reason == "libc.so.6 has no cuInit: the driver is too old");
}

TEST("the kernel module's version is read from either form of its first line") {
    MachineTree tree;
    CHECK(kernel_module_version(tree.files()).empty());
    tree.put("/proc/driver/nvidia/version",
             "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 UTC 2024\n");
    CHECK(kernel_module_version(tree.files()) == "550.54.15");
    tree.put("/proc/driver/nvidia/version",
             "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release\n");
    CHECK(kernel_module_version(tree.files()) == "570.124.06");
}
