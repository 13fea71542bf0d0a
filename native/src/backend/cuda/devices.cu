#include "backend/cuda/devices.h"

#include <cuda_runtime.h>

namespace ds4::cuda {

// Without a driver the runtime answers cudaErrorInsufficientDriver and leaves the count unwritten:
// every error means that there is nothing to use.
std::vector<Device> devices() {
    std::vector<Device> found;
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();
        return found;
    }
    for (int i = 0; i < count; i++) {
        cudaDeviceProp properties;
        if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) {
            cudaGetLastError();
            continue;
        }
        found.push_back({properties.name, uint64_t(properties.totalGlobalMem), properties.major,
                         properties.minor, properties.multiProcessorCount});
    }
    return found;
}

} // namespace ds4::cuda
