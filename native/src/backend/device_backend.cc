#include "backend/device_backend.h"

namespace ds4 {
namespace {

// No initialiser runs for it, so files may register in any order.
constinit DeviceBackend registered{};

} // namespace

const DeviceBackend *device_backend() { return registered.open == nullptr ? nullptr : &registered; }

bool register_device_backend(const DeviceBackend &backend) {
    registered = backend;
    return true;
}

} // namespace ds4
