#include "moe/ggml_library.h"

#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace ds4::bench {
namespace {

constexpr size_t kParamsBytes =
    16 << 10; // more than ggml_threadpool_params (about 0.5 KB) of any release
constexpr int kLogError = 4;

void quiet(int level, const char *text, void *) {
    if (level >= kLogError) std::fputs(text, stderr);
}

// Path of libggml.so, or of libggml.<release>.so as the npm package names it; empty when the folder
// has none.
std::string registry_name(const std::string &folder) {
    std::string found;
    DIR *const list = opendir(folder.c_str());
    if (list == nullptr) throw std::runtime_error("cannot open the folder " + folder);
    while (const dirent *entry = readdir(list)) {
        const std::string name = entry->d_name;
        if (name.rfind("libggml.", 0) == 0 && name.find(".so") != std::string::npos) found = name;
    }
    closedir(list);
    return found;
}

void *open_library(const std::string &path, int flags) {
    void *const library = dlopen(path.c_str(), flags);
    if (library == nullptr) throw std::runtime_error(dlerror());
    return library;
}

template <typename Function> void resolve(Function &function, void *library, const char *name) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (function == nullptr)
        throw std::runtime_error(std::string("the ggml libraries lack ") + name);
}

// Path of the CPU library that ggml has loaded.
std::string loaded_variant() {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line))
        if (line.find("/libggml-cpu") != std::string::npos) return line.substr(line.find('/'));
    throw std::runtime_error("ggml found no CPU library that this CPU can run");
}

} // namespace

void GgmlLibrary::open(const std::string &folder) {
    const std::string registry = registry_name(folder);
    if (registry.empty()) throw std::runtime_error(folder + " has no libggml.so");
    void *const base = open_library(folder + "/libggml-base.so", RTLD_NOW | RTLD_GLOBAL);
    void *const backends = open_library(folder + "/" + registry, RTLD_NOW | RTLD_GLOBAL);
    GgmlFunctions &f = functions_;
#define DS4_GGML(library, name) resolve(f.name, library, "ggml_" #name)
    DS4_GGML(base, version), DS4_GGML(base, log_set), DS4_GGML(base, init), DS4_GGML(base, free),
        DS4_GGML(base, tensor_overhead);
    DS4_GGML(base, graph_overhead_custom), DS4_GGML(base, nbytes), DS4_GGML(base, new_tensor_2d),
        DS4_GGML(base, new_tensor_3d);
    DS4_GGML(base, mul_mat_id), DS4_GGML(base, swiglu_split), DS4_GGML(base, mul),
        DS4_GGML(base, add), DS4_GGML(base, view_2d);
    DS4_GGML(base, set_input), DS4_GGML(base, set_output), DS4_GGML(base, new_graph_custom),
        DS4_GGML(base, build_forward_expand);
    DS4_GGML(base, gallocr_new), DS4_GGML(base, gallocr_alloc_graph), DS4_GGML(base, gallocr_free),
        DS4_GGML(base, threadpool_params_init);
    DS4_GGML(backends, backend_load_all_from_path), DS4_GGML(backends, backend_dev_by_type);
    DS4_GGML(base, backend_dev_init), DS4_GGML(base, backend_dev_backend_reg),
        DS4_GGML(base, backend_dev_buffer_type);
    DS4_GGML(base, backend_reg_get_proc_address), DS4_GGML(base, backend_buft_name),
        DS4_GGML(base, backend_alloc_ctx_tensors_from_buft);
    DS4_GGML(base, backend_buffer_free), DS4_GGML(base, backend_tensor_set),
        DS4_GGML(base, backend_tensor_get);
    DS4_GGML(base, backend_graph_compute), DS4_GGML(base, backend_free);
#undef DS4_GGML
    f.log_set(quiet, nullptr);
    f.backend_load_all_from_path(folder.c_str());
}

// A pool that lives as long as the library. Without one ggml starts its threads anew for every
// graph.
void GgmlLibrary::start_threads(void *registry, int threads) {
    void *const cpu = open_library(variant_, RTLD_NOW | RTLD_NOLOAD);
    void *(*new_pool)(void *params);
    void (*use_pool)(void *backend, void *pool);
    resolve(new_pool, cpu, "ggml_threadpool_new");
    resolve(use_pool, cpu, "ggml_backend_cpu_set_threadpool");
    resolve(pause_, cpu, "ggml_threadpool_pause");
    resolve(free_pool_, cpu, "ggml_threadpool_free");
    std::vector<uint64_t> params(kParamsBytes / sizeof(uint64_t));
    functions_.threadpool_params_init(params.data(), threads);
    pool_ = new_pool(params.data());
    if (pool_ == nullptr) throw std::runtime_error("ggml cannot start its threads");
    use_pool(backend_, pool_);
    const auto set_threads = reinterpret_cast<void (*)(void *, int)>(
        functions_.backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads"));
    if (set_threads == nullptr)
        throw std::runtime_error("the ggml libraries lack ggml_backend_set_n_threads");
    set_threads(backend_, threads);
}

GgmlLibrary::GgmlLibrary(const std::string &folder, int threads) {
    open(folder);
    void *const device = functions_.backend_dev_by_type(kGgmlCpuDevice);
    variant_ = loaded_variant();
    backend_ = device == nullptr ? nullptr : functions_.backend_dev_init(device, nullptr);
    if (backend_ == nullptr) throw std::runtime_error("ggml offers no CPU device");
    plain_ = functions_.backend_dev_buffer_type(device);
    void *const registry = functions_.backend_dev_backend_reg(device);
    start_threads(registry, threads);
    const auto extra = reinterpret_cast<void **(*)(void *)>(
        functions_.backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts"));
    for (void **buffers = extra == nullptr ? nullptr : extra(device);
         buffers != nullptr && *buffers != nullptr; buffers++)
        if (std::strcmp(functions_.backend_buft_name(*buffers), "CPU_REPACK") == 0)
            repack_ = *buffers;
    const size_t begin = variant_.find("libggml-cpu") + std::strlen("libggml-cpu");
    variant_ = variant_.substr(begin + (variant_[begin] == '-'));
    variant_ = variant_.substr(0, variant_.find(".so"));
}

GgmlLibrary::~GgmlLibrary() {
    functions_.backend_free(backend_);
    free_pool_(pool_); // the libraries stay: they are not made to be closed
}

} // namespace ds4::bench
