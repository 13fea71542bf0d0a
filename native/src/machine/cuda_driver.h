// The functions of NVIDIA's driver library that tell of GPUs, opened at run time. No CUDA header or
// toolkit is needed. Names and signatures are those of the CUDA driver API, without the "cu".
#pragma once
#include <cstddef>
#include <string>

namespace ds4::machine {

struct CudaDriver {
    using Result = int; // 0: success
    using Device = int; // ordinal
    Result (*init)(unsigned flags) = nullptr;
    Result (*driver_version)(int *version) = nullptr; // 1000 * major + 10 * minor of CUDA
    Result (*device_count)(int *count) = nullptr;
    Result (*device_get)(Device *device, int ordinal) = nullptr;
    Result (*device_name)(char *name, int bytes, Device device) = nullptr;
    Result (*device_memory)(size_t *bytes, Device device) = nullptr;
    Result (*device_attribute)(int *value, int attribute, Device device) = nullptr;
    Result (*error_string)(Result result, const char **text) = nullptr;
};

// Functions that need no context, so that asking takes no memory of a GPU. The library stays open
// for the life of the process. On failure `reason` says what is missing.
bool open_cuda_driver(const char *library, CudaDriver &driver, std::string &reason);

} // namespace ds4::machine
