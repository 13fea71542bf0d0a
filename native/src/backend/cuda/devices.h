// CUDA devices that this process can use. Compiled only with CUDA; needs no driver.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ds4::cuda {

struct Device {
    std::string name;
    uint64_t memory_bytes;
    int major, minor; // compute capability
    int multiprocessors;
};
// Empty if there is no driver, no device, or anything else that keeps devices from being used.
std::vector<Device> devices();

} // namespace ds4::cuda
