// A backend that a build may or may not have. Code for a device registers itself when the library
// is loaded; the one place that opens backends asks here.
#pragma once
#include <memory>
#include <string>

namespace ds4 {

class Backend;
class Model;
struct EngineOptions;

struct DeviceBackend {
    // Throws Error(DS4_ERR_DEVICE_MEMORY) with what is needed and what is there.
    std::unique_ptr<Backend> (*open)(const Model &, const EngineOptions &);
    std::string (*plan)(const Model &, const EngineOptions &); // JSON object
    std::string (*why_unusable)();                             // "" if a device is there
};

// Null in a build without it.
const DeviceBackend *device_backend();
// Before main, by the backend's own file.
bool register_device_backend(const DeviceBackend &backend);

} // namespace ds4
