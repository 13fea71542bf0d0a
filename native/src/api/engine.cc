// ds4_model_*, ds4_engine_*, ds4_session_*: check arguments, call core, translate exceptions.
#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/boundary.h"
#include "core/engine.h"
#include "ds4.h"
#include "model/model.h"

struct ds4_model {
    ds4::Model model;
};

using ds4::fail;
using ds4::api::guarded;
using ds4::api::guarded_value;
using ds4::api::require_pointer;

namespace {

// Copies text with a NUL into a caller's buffer; returns the bytes needed, the NUL included.
uint64_t copy_text(const std::string &text, char *out, uint64_t capacity) {
    if (out != nullptr && capacity > 0) {
        const uint64_t count = std::min<uint64_t>(text.size(), capacity - 1);
        std::memcpy(out, text.data(), count);
        out[count] = '\0';
    }
    return text.size() + 1;
}

ds4::Engine &engine_of(const ds4_session *session) {
    require_pointer(session, "session");
    if (session->engine == nullptr) fail(DS4_ERR_ARGUMENT, "the session's engine has been closed");
    return *session->engine->engine;
}

} // namespace

ds4_status ds4_model_create(const ds4_shape *shape, const ds4_layer_options *layer_options,
                            uint32_t layer_count, ds4_model **out_model) {
    return guarded([&] {
        require_pointer(shape, "shape");
        require_pointer(layer_options, "layer_options");
        require_pointer(out_model, "out_model");
        if (shape->struct_bytes != sizeof(ds4_shape))
            fail(DS4_ERR_ARGUMENT, "ds4_shape: struct_bytes is %u; expected %zu",
                 shape->struct_bytes, sizeof(ds4_shape));
        *out_model = new ds4_model{ds4::Model(ds4::make_shape(*shape, layer_options, layer_count))};
    });
}

ds4_status ds4_model_add_file(ds4_model *model, const char *path, uint32_t *out_file) {
    return guarded([&] {
        require_pointer(model, "model");
        require_pointer(path, "path");
        require_pointer(out_file, "out_file");
        *out_file = model->model.add_file(path);
    });
}

ds4_status ds4_model_add_tensors(ds4_model *model, const ds4_tensor *tensors, uint64_t tensor_count,
                                 const char *names, uint64_t names_bytes) {
    return guarded([&] {
        require_pointer(model, "model");
        if (tensor_count == 0) return;
        require_pointer(tensors, "tensors");
        require_pointer(names, "names");
        model->model.add_tensors(tensors, tensor_count, names, names_bytes);
    });
}

ds4_status ds4_model_seal(ds4_model *model) {
    return guarded([&] {
        require_pointer(model, "model");
        model->model.seal();
    });
}

void ds4_model_close(ds4_model *model) { delete model; }

ds4_status ds4_engine_open(ds4_model *model, const ds4_engine_options *options,
                           ds4_engine **out_engine) {
    return guarded([&] {
        require_pointer(model, "model");
        require_pointer(out_engine, "out_engine");
        auto handle = std::make_unique<ds4_engine>();
        handle->engine = std::make_unique<ds4::Engine>(
            model->model, ds4::read_engine_options(options), handle.get());
        *out_engine = handle.release();
    });
}

void ds4_engine_close(ds4_engine *engine) { delete engine; }

uint64_t ds4_engine_describe(ds4_engine *engine, char *text, uint64_t capacity) {
    return guarded_value(uint64_t(0), [&] {
        require_pointer(engine, "engine");
        return copy_text(engine->engine->describe(), text, capacity);
    });
}

ds4_status ds4_session_open(ds4_engine *engine, const ds4_session_options *options,
                            ds4_session **out_session) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(options, "options");
        require_pointer(out_session, "out_session");
        if (options->struct_bytes != sizeof(ds4_session_options))
            fail(DS4_ERR_ARGUMENT, "ds4_session_options: struct_bytes is %u; expected %zu",
                 options->struct_bytes, sizeof(ds4_session_options));
        *out_session = engine->engine->open_session(options->context_tokens);
    });
}

void ds4_session_close(ds4_session *session) {
    if (session == nullptr) return;
    guarded([&] {
        if (session->engine == nullptr)
            delete session; // its engine is gone
        else
            session->engine->engine->close_session(session);
    });
}

uint32_t ds4_session_position(const ds4_session *session) {
    return session == nullptr ? 0 : session->state->position();
}

uint64_t ds4_session_bytes(const ds4_session *session) {
    return session == nullptr ? 0 : session->state->bytes();
}

ds4_status ds4_session_reset(ds4_session *session) {
    return guarded([&] {
        engine_of(session).with_session(session, [](ds4::SequenceState &state) { state.reset(); });
    });
}

uint64_t ds4_session_snapshot_bytes(const ds4_session *session) {
    return session == nullptr ? 0 : session->state->snapshot_bytes();
}

ds4_status ds4_session_snapshot(ds4_session *session, void *out, uint64_t capacity,
                                uint64_t *out_bytes) {
    return guarded([&] {
        require_pointer(out, "out");
        require_pointer(out_bytes, "out_bytes");
        engine_of(session).with_session(session, [&](ds4::SequenceState &state) {
            const uint64_t needed = state.snapshot_bytes();
            if (capacity < needed)
                fail(DS4_ERR_ARGUMENT, "the snapshot takes %llu bytes; the buffer has %llu",
                     (unsigned long long)needed, (unsigned long long)capacity);
            state.snapshot(static_cast<uint8_t *>(out));
            *out_bytes = needed;
        });
    });
}

ds4_status ds4_session_restore(ds4_session *session, const void *bytes, uint64_t byte_count) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        engine_of(session).with_session(session, [&](ds4::SequenceState &state) {
            state.restore({static_cast<const uint8_t *>(bytes), size_t(byte_count)});
        });
    });
}

ds4_status ds4_session_cancel(ds4_session *session) {
    return guarded([&] { engine_of(session).cancel(session); });
}

ds4_status ds4_engine_step(ds4_engine *engine, const ds4_step_item *items, uint32_t item_count,
                           const int32_t *tokens, uint64_t token_count, float *out_logits,
                           uint64_t logits_capacity) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(items, "items");
        require_pointer(tokens, "tokens");
        std::vector<ds4::StepItem> steps;
        uint64_t used = 0, rows = 0;
        for (uint32_t i = 0; i < item_count; i++) {
            if (items[i].token_count > token_count - used)
                fail(DS4_ERR_ARGUMENT, "item %u wants %u tokens; %llu of %llu are left", i,
                     items[i].token_count, (unsigned long long)(token_count - used),
                     (unsigned long long)token_count);
            steps.push_back(
                {items[i].session, tokens + used, items[i].token_count, items[i].logits});
            used += items[i].token_count;
            rows += items[i].logits == DS4_LOGITS_ALL    ? items[i].token_count
                    : items[i].logits == DS4_LOGITS_LAST ? 1
                                                         : 0;
        }
        if (used != token_count)
            fail(DS4_ERR_ARGUMENT, "%llu tokens came; the items take %llu",
                 (unsigned long long)token_count, (unsigned long long)used);
        const uint64_t needed = rows * engine->engine->vocab();
        if (needed > 0) require_pointer(out_logits, "out_logits");
        if (logits_capacity < needed)
            fail(DS4_ERR_ARGUMENT, "logits_capacity is %llu; %llu are needed",
                 (unsigned long long)logits_capacity, (unsigned long long)needed);
        engine->engine->step(steps, out_logits);
    });
}

ds4_status ds4_engine_trace(ds4_engine *engine, uint32_t enabled) {
    return guarded([&] {
        require_pointer(engine, "engine");
        engine->engine->enable_trace(enabled != 0);
    });
}

uint64_t ds4_engine_trace_names(ds4_engine *engine, char *text, uint64_t capacity) {
    return guarded_value(uint64_t(0), [&] {
        require_pointer(engine, "engine");
        std::string names;
        engine->engine->with_trace([&](const ds4::Trace *trace) {
            if (trace == nullptr) return;
            for (const auto &[name, values] : trace->values())
                names += name + " " + std::to_string(values.size()) + "\n";
        });
        return copy_text(names, text, capacity);
    });
}

ds4_status ds4_engine_trace_read(ds4_engine *engine, const char *name, float *out,
                                 uint64_t capacity, uint64_t *out_count) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(name, "name");
        require_pointer(out, "out");
        require_pointer(out_count, "out_count");
        engine->engine->with_trace([&](const ds4::Trace *trace) {
            if (trace == nullptr)
                fail(DS4_ERR_ARGUMENT, "the trace is off: call ds4_engine_trace first");
            const auto found = trace->values().find(name);
            if (found == trace->values().end())
                fail(DS4_ERR_ARGUMENT, "the last step recorded no \"%s\"", name);
            if (capacity < found->second.size())
                fail(DS4_ERR_ARGUMENT, "\"%s\" has %zu values; the buffer takes %llu", name,
                     found->second.size(), (unsigned long long)capacity);
            std::copy(found->second.begin(), found->second.end(), out);
            *out_count = found->second.size();
        });
    });
}
