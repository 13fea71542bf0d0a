#include "experts/expert_library.h"

#include <dlfcn.h>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

// The first revision of kt_bridge.h that has all that this engine calls or relies on.
constexpr uint32_t kRevision = 0x00020004;

// libkt_bridge.so in the folder of the library or program that this code is in.
std::string default_path() {
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void *>(&default_path), &info) == 0 ||
        info.dli_fname == nullptr)
        return "libkt_bridge.so";
    const std::string own = info.dli_fname;
    const size_t slash = own.rfind('/');
    return (slash == std::string::npos ? std::string() : own.substr(0, slash + 1)) +
           "libkt_bridge.so";
}

} // namespace

ExpertLibrary::ExpertLibrary(const std::string &path)
    : path_(path.empty() ? default_path() : path) {
    void *library = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == nullptr) {
        const char *reason = dlerror();
        fail(DS4_ERR_IO, "the expert library %s cannot be loaded: %s", path_.c_str(),
             reason != nullptr ? reason : "no reason given");
    }
    std::string missing;
    const auto find = [&](auto &function, const char *name, bool required) {
        using Function = std::remove_reference_t<decltype(function)>;
        function = reinterpret_cast<Function>(dlsym(library, name));
        if (function == nullptr && required)
            missing += (missing.empty() ? "" : ", ") + std::string(name);
    };
#define DS4_FIND(name) find(functions_.name, "ktb_" #name, true);
    DS4_KT_KERNEL_FUNCTIONS(DS4_FIND)
    find(functions_.abi_version, "ktb_abi_version", false);
    if (missing.empty() && has_extension()) {
        const uint32_t revision = functions_.abi_version();
        if (revision >> 16 != kRevision >> 16 || revision < kRevision)
            fail(DS4_ERR_ARGUMENT,
                 "%s has revision %u.%u of the extension; this engine needs %u.%u or a later %u.x",
                 path_.c_str(), revision >> 16, revision & 0xffff, kRevision >> 16,
                 kRevision & 0xffff, kRevision >> 16);
        DS4_EXTENSION_FUNCTIONS(DS4_FIND)
        find(functions_.moe_create_shared, "ktb_moe_create_shared", false);
    }
#undef DS4_FIND
    if (!missing.empty())
        fail(DS4_ERR_ARGUMENT, "%s is no expert library that this engine can use: it lacks %s",
             path_.c_str(), missing.c_str());
}

std::string ExpertLibrary::last_error(const char *otherwise) const {
    const char *text = functions_.last_error != nullptr ? functions_.last_error() : "";
    return text != nullptr && text[0] != '\0' ? text : otherwise;
}

} // namespace ds4
