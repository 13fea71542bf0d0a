#include <cstring>

#include "api/handles.h"
#include "format/scalar.h"

namespace ds4::ktb {
namespace {

thread_local char last_error[1024];

} // namespace

void clear_error() { last_error[0] = '\0'; }

int record_error(int code, const char *text) {
    std::strncpy(last_error, text, sizeof last_error - 1);
    return code;
}

} // namespace ds4::ktb

using namespace ds4::ktb;

extern "C" {

uint32_t ktb_abi_version(void) { return KTB_ABI_VERSION; }

const char *ktb_last_error(void) { return ds4::ktb::last_error; }

ktb_engine_t ktb_engine_create(int n_threads, int n_numa_nodes) {
    ktb_engine_t made = nullptr;
    guarded([&] {
        if (n_threads <= 0 || n_numa_nodes <= 0)
            fail(KTB_ERR_ARGUMENT, "ktb_engine_create(%d threads, %d nodes): both must be positive",
                 n_threads, n_numa_nodes);
        ExpertEngineOptions options;
        options.pool.threads = n_threads;
        options.pool.parts = n_numa_nodes;
        made = new ktb_engine{ExpertEngine(options)};
        return KTB_OK;
    });
    return made;
}

ktb_engine_t ktb_engine_create_json(const char *text) {
    ktb_engine_t made = nullptr;
    guarded([&] {
        if (text == nullptr)
            fail(KTB_ERR_ARGUMENT, "options are NULL; expected a JSON object, {} for the defaults");
        made = new ktb_engine{ExpertEngine(ExpertEngineOptions::from_json(text))};
        return KTB_OK;
    });
    return made;
}

void ktb_engine_destroy(ktb_engine_t engine) {
    guarded([&] {
        if (engine == nullptr) return KTB_OK;
        if (const int layers = engine->engine.live_layers(); layers != 0)
            fail(KTB_ERR_STATE, "the engine has %d live layers: destroy them first", layers);
        delete engine;
        return KTB_OK;
    });
}

int ktb_engine_describe(ktb_engine_t engine, char *buffer, size_t capacity) {
    return guarded([&] {
        if (engine == nullptr) fail(KTB_ERR_ARGUMENT, "ktb_engine_describe: the engine is NULL");
        const std::string text = engine->engine.describe();
        if (buffer != nullptr && capacity > 0) {
            const size_t length = std::min(text.size(), capacity - 1);
            std::memcpy(buffer, text.data(), length);
            buffer[length] = '\0';
        }
        return int(text.size());
    });
}

int ktb_engine_wait(ktb_engine_t engine, uint64_t ticket, int timeout_ms) {
    return guarded([&] {
        if (engine == nullptr) fail(KTB_ERR_ARGUMENT, "ktb_engine_wait: the engine is NULL");
        return engine->engine.wait(ticket, timeout_ms);
    });
}

int ktb_engine_work(ktb_engine_t engine, int worker, uint64_t ticket) {
    return guarded([&] {
        if (engine == nullptr) fail(KTB_ERR_ARGUMENT, "ktb_engine_work: the engine is NULL");
        engine->engine.work(worker, ticket);
        return int(KTB_OK);
    });
}

int ktb_load_progress(ktb_engine_t engine, uint64_t *done_bytes, uint64_t *total_bytes) {
    return guarded([&] {
        if (engine == nullptr || done_bytes == nullptr || total_bytes == nullptr)
            fail(KTB_ERR_ARGUMENT, "ktb_load_progress: an argument is NULL");
        *done_bytes = engine->engine.progress().done_bytes.load();
        *total_bytes = engine->engine.progress().total_bytes.load();
        return KTB_OK;
    });
}

int ktb_selftest(ktb_engine_t engine) {
    return guarded([&] {
        if (engine == nullptr) fail(KTB_ERR_ARGUMENT, "ktb_selftest: the engine is NULL");
        return self_check();
    });
}

ktb_safetensor_t ktb_safetensor_open(const char *dir) {
    ktb_safetensor_t made = nullptr;
    guarded([&] {
        if (dir == nullptr) fail(KTB_ERR_ARGUMENT, "ktb_safetensor_open: the folder is NULL");
        made = new ktb_safetensor{std::make_shared<const Safetensors>(dir)};
        return KTB_OK;
    });
    return made;
}

void ktb_safetensor_close(ktb_safetensor_t tensors) {
    guarded([&] {
        delete tensors;
        return KTB_OK;
    });
}

bool ktb_safetensor_get(ktb_safetensor_t tensors, const char *name, void **out_ptr,
                        size_t *out_bytes) {
    return guarded([&] {
               if (tensors == nullptr || name == nullptr || out_ptr == nullptr ||
                   out_bytes == nullptr)
                   fail(KTB_ERR_ARGUMENT, "ktb_safetensor_get: an argument is NULL");
               const Tensor *tensor = tensors->tensors->find(name);
               if (tensor == nullptr)
                   fail(KTB_ERR_FORMAT, "tensor %s is missing in %s", name,
                        tensors->tensors->folder().c_str());
               *out_ptr = const_cast<uint8_t *>(tensors->tensors->mapped(*tensor));
               *out_bytes = size_t(tensor->bytes);
               return KTB_OK;
           }) == KTB_OK;
}

void ktb_convert_f32_to_bf16(const float *source, void *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float value;
        std::memcpy(&value, reinterpret_cast<const uint8_t *>(source) + i * 4, 4);
        const uint16_t word = ds4::f32_to_bf16(value);
        std::memcpy(static_cast<uint8_t *>(target) + i * 2, &word, 2);
    }
}

void ktb_convert_bf16_to_f32(const void *source, float *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint16_t word;
        std::memcpy(&word, static_cast<const uint8_t *>(source) + i * 2, 2);
        const float value = ds4::bf16_to_f32(
            uint16_t(word | ((word & 0x7f80u) == 0x7f80u && (word & 0x7fu) != 0 ? 0x40u : 0u)));
        std::memcpy(reinterpret_cast<uint8_t *>(target) + i * 4, &value, 4);
    }
}

} // extern "C"
