// GPUs that this process can use, as NVIDIA's driver tells. CUDA_VISIBLE_DEVICES hides and orders
// them, because the driver itself reads it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "machine/cuda_driver.h"
#include "machine/system_files.h"

namespace ds4::machine {

struct Gpu {
    std::string name;
    uint64_t memory_bytes;
    int major, minor; // compute capability
    int multiprocessors;
};

struct GpuReport {
    std::string problem;        // why no GPU can be used; empty when there are some
    std::string driver_version; // of the kernel module, "570.124.06"; empty when not known
    std::string cuda_version;   // newest CUDA that the driver runs, "12.8"; empty without a driver
    std::vector<Gpu> gpus;
};

GpuReport read_gpus();
GpuReport read_gpus(const CudaDriver &driver);
// Version of the kernel module, from /proc/driver/nvidia/version.
std::string kernel_module_version(const SystemFiles &files = SystemFiles());

} // namespace ds4::machine
