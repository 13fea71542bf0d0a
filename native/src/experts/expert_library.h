// The CPU expert library behind kt_bridge.h, opened by path: one typed table of its functions.
// KTransformers' kt-kernel has part 1 of the header only; the rest of the table is null then.
#pragma once
#include <string>

#include "kt_bridge.h"

namespace ds4 {

#define DS4_KT_KERNEL_FUNCTIONS(row)                                                               \
    row(engine_create) row(engine_destroy) row(safetensor_open) row(safetensor_close)              \
        row(safetensor_get) row(moe_create) row(moe_destroy) row(moe_load_weights_ptrs)            \
            row(moe_load_weights_safetensors) row(moe_forward) row(moe_forward_f32)                \
                row(convert_f32_to_bf16) row(convert_bf16_to_f32)
#define DS4_EXTENSION_FUNCTIONS(row)                                                               \
    row(abi_version) row(last_error) row(status) row(engine_create_json) row(engine_describe)      \
        row(moe_forward2) row(moe_submit) row(engine_wait) row(engine_work) row(moe_create_mixed)  \
            row(moe_load_matrices) row(load_progress)

struct ExpertFunctions {
#define DS4_MEMBER(name) decltype(&ktb_##name) name = nullptr;
    DS4_KT_KERNEL_FUNCTIONS(DS4_MEMBER)
    DS4_EXTENSION_FUNCTIONS(DS4_MEMBER)
    DS4_MEMBER(moe_create_shared) // null in the first revision with the extension
#undef DS4_MEMBER
};

class ExpertLibrary {
  public:
    // path: empty for libkt_bridge.so beside this library. Throws Error(DS4_ERR_IO) when it cannot
    // be loaded, and DS4_ERR_ARGUMENT naming every function that is missing or both revisions. It
    // stays loaded for the process's life: kt-kernel may have threads that outlive its
    // engines.
    explicit ExpertLibrary(const std::string &path);

    const ExpertFunctions &functions() const { return functions_; }
    const std::string &path() const { return path_; }
    bool has_extension() const { return functions_.abi_version != nullptr; }
    // Text of the calling thread's last failure; `otherwise` when the library does not say.
    std::string last_error(const char *otherwise) const;

  private:
    ExpertFunctions functions_;
    std::string path_;
};

} // namespace ds4
