#include "machine/cuda_driver.h"

#include <dlfcn.h>

namespace ds4::machine {
namespace {

template <class Function> bool find(void *library, const char *name, Function &function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
}

// The missing symbol, or null. The v2 name is the one with 64-bit sizes.
const char *find_all(void *library, CudaDriver &driver) {
    if (!find(library, "cuInit", driver.init)) return "cuInit";
    if (!find(library, "cuDriverGetVersion", driver.driver_version)) return "cuDriverGetVersion";
    if (!find(library, "cuDeviceGetCount", driver.device_count)) return "cuDeviceGetCount";
    if (!find(library, "cuDeviceGet", driver.device_get)) return "cuDeviceGet";
    if (!find(library, "cuDeviceGetName", driver.device_name)) return "cuDeviceGetName";
    if (!find(library, "cuDeviceTotalMem_v2", driver.device_memory)) return "cuDeviceTotalMem_v2";
    if (!find(library, "cuDeviceGetAttribute", driver.device_attribute))
        return "cuDeviceGetAttribute";
    if (!find(library, "cuGetErrorString", driver.error_string)) return "cuGetErrorString";
    return nullptr;
}

} // namespace

bool open_cuda_driver(const char *library, CudaDriver &driver, std::string &reason) {
    void *const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        reason = std::string(library) + " of NVIDIA's driver is not installed";
        return false;
    }
    if (const char *missing = find_all(handle, driver); missing != nullptr) {
        reason = std::string(library) + " has no " + missing + ": the driver is too old";
        dlclose(handle);
        return false;
    }
    return true;
}

} // namespace ds4::machine
