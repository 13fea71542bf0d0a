// The types behind the opaque handles of kt_bridge.h.
#pragma once
#include <memory>

#include "experts/engine/expert_engine.h"
#include "experts/loading/safetensors.h"
#include "kt_bridge.h"
#include "pool/expert_error.h"

struct ktb_engine {
    ds4::ktb::ExpertEngine engine;
};
struct ktb_safetensor {
    std::shared_ptr<const ds4::ktb::Safetensors> tensors; // shared with running loads
};
struct ktb_moe {
    std::unique_ptr<ds4::ktb::ExpertLayer> layer;
};

namespace ds4::ktb {

// Text of ktb_last_error on this thread. It is a plain array, so that worker threads have nothing
// to destroy.
void clear_error();
int record_error(int code, const char *text); // returns code

// Runs body, and translates exceptions into a code and the text of ktb_last_error. body returns a
// KTB_OK or KTB_ERR_*.
template <class Body> int guarded(Body body) noexcept {
    clear_error();
    try {
        return body();
    } catch (const ExpertError &error) {
        return record_error(error.code(), error.what());
    } catch (const std::bad_alloc &) {
        return record_error(KTB_ERR_MEMORY, "out of memory");
    } catch (const std::exception &error) {
        return record_error(KTB_ERR_INTERNAL, error.what());
    } catch (...) {
        return record_error(KTB_ERR_INTERNAL, "unknown exception");
    }
}

inline ExpertLayer &layer_of(ktb_moe_t moe, const char *function) {
    if (moe == nullptr) fail(KTB_ERR_ARGUMENT, "%s: the layer is NULL", function);
    return *moe->layer;
}

int self_check(); // 0 or a KTB_ERR_*, with a text by exception

} // namespace ds4::ktb
