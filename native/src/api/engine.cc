// ds4_engine_*: check arguments, call core, translate exceptions.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "api/boundary.h"
#include "api/copy_text.h"
#include "api/growable.h"
#include "api/model_handle.h"
#include "backend/engine_options.h"
#include "backend/open_backend.h"
#include "core/engine.h"
#include "ds4.h"

using ds4::fail;
using ds4::api::copy_text;
using ds4::api::guarded;
using ds4::api::guarded_value;
using ds4::api::require_pointer;

namespace {

// Sizes in the first ds4.h, which a caller has that states none.
constexpr uint32_t kStepItemBytes = 16, kJobTokenBytes = 172;

ds4_engine_options widened_options(const ds4_engine_options *options) {
    return options == nullptr ? ds4_engine_options{} : ds4::api::widened(options);
}

} // namespace

ds4_status ds4_engine_open(ds4_model *model, const ds4_engine_options *options,
                           ds4_engine **out_engine) {
    return guarded([&] {
        require_pointer(model, "model");
        require_pointer(out_engine, "out_engine");
        const ds4_engine_options full = widened_options(options);
        auto handle = std::make_unique<ds4_engine>();
        handle->step_item_bytes = ds4::api::checked_stride(ds4::api::layout_of<ds4_step_item>(),
                                                           full.step_item_bytes, kStepItemBytes);
        handle->job_token_bytes = ds4::api::checked_stride(ds4::api::layout_of<ds4_job_token>(),
                                                           full.job_token_bytes, kJobTokenBytes);
        handle->engine = std::make_unique<ds4::Engine>(model->model, ds4::read_engine_options(full),
                                                       handle.get());
        *out_engine = handle.release();
    });
}

ds4_status ds4_engine_plan(ds4_model *model, const ds4_engine_options *options, char *text,
                           uint64_t capacity, uint64_t *out_bytes) {
    return guarded([&] {
        require_pointer(model, "model");
        require_pointer(out_bytes, "out_bytes");
        const std::string plan =
            ds4::plan_backend(model->model, ds4::read_engine_options(widened_options(options)));
        *out_bytes = copy_text(plan, text, capacity);
    });
}

void ds4_engine_close(ds4_engine *engine) { delete engine; }

uint64_t ds4_engine_describe(ds4_engine *engine, char *text, uint64_t capacity) {
    return guarded_value(uint64_t(0), [&] {
        require_pointer(engine, "engine");
        return copy_text(engine->engine->describe(), text, capacity);
    });
}

uint64_t ds4_engine_cache_bytes(ds4_engine *engine) {
    return guarded_value(uint64_t(0), [&] {
        require_pointer(engine, "engine");
        return engine->engine->cache_bytes();
    });
}

uint64_t ds4_engine_cache_room(ds4_engine *engine) {
    return guarded_value(uint64_t(0), [&] {
        require_pointer(engine, "engine");
        return engine->engine->cache_room();
    });
}

ds4_status ds4_engine_step(ds4_engine *engine, const ds4_step_item *first_item, uint32_t item_count,
                           const int32_t *tokens, uint64_t token_count, float *out_logits,
                           uint64_t logits_capacity) {
    return guarded([&] {
        require_pointer(engine, "engine");
        require_pointer(first_item, "items");
        require_pointer(tokens, "tokens");
        const std::vector<ds4_step_item> items =
            ds4::api::widened_elements(first_item, item_count, engine->step_item_bytes);
        std::vector<ds4::StepItem> steps;
        uint64_t used = 0, rows = 0;
        for (uint32_t i = 0; i < item_count; i++) {
            if (items[i].token_count > token_count - used)
                fail(DS4_ERR_ARGUMENT, "item %u wants %u tokens; %llu of %llu are left", i,
                     items[i].token_count, (unsigned long long)(token_count - used),
                     (unsigned long long)token_count);
            steps.push_back({items[i].session,
                             tokens + used,
                             items[i].token_count,
                             -1,
                             items[i].logits,
                             false,
                             {}});
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
        engine->engine->step_apart(steps, out_logits);
    });
}

ds4_status ds4_engine_trace(ds4_engine *engine, uint32_t enabled) {
    return guarded([&] {
        require_pointer(engine, "engine");
        engine->engine->trace().enable(enabled != 0);
    });
}

uint64_t ds4_engine_trace_names(ds4_engine *engine, char *text, uint64_t capacity) {
    return guarded_value(uint64_t(0), [&] {
        require_pointer(engine, "engine");
        std::string names;
        engine->engine->trace().read([&](const ds4::Trace *trace) {
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
        engine->engine->trace().read([&](const ds4::Trace *trace) {
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
