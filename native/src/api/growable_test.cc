// Callers that were built with an older or a newer ds4.h.
#include "api/growable.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "api/small_model_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4::test;

namespace {

// A caller's struct at the end of its own memory: sanitizers see a read past it.
template <typename T> class Sized {
  public:
    Sized(const T &known, size_t bytes) : bytes_(bytes, 0) {
        std::memcpy(bytes_.data(), &known, std::min(bytes, sizeof(T)));
        const uint32_t own = uint32_t(bytes);
        std::memcpy(bytes_.data(), &own, sizeof own);
    }
    T *get() { return reinterpret_cast<T *>(bytes_.data()); }
    uint8_t &byte(size_t at) { return bytes_[at]; }

  private:
    std::vector<uint8_t> bytes_;
};

// Calls accept(struct) for a struct with 16 bytes more: zeros are accepted, anything else is not.
template <typename T, typename Accept> void check_longer(const T &known, const Accept &accept) {
    const std::string name = ds4::api::layout_of<T>().name;
    Sized<T> longer(known, sizeof(T) + 16);
    CHECK(accept(longer.get()) == DS4_OK);
    for (const size_t at : {sizeof(T), sizeof(T) + 15}) {
        longer.byte(at) = 7;
        CHECK(accept(longer.get()) == DS4_ERR_ARGUMENT);
        const std::string text = name + " has " + std::to_string(sizeof(T) + 16) +
                                 " bytes, and byte " + std::to_string(at) + " is 7";
        CHECK(contains(ds4_last_error(), text.c_str()));
        longer.byte(at) = 0;
    }
    for (const uint32_t garbage : {0u, 3u, 4097u, 0xffffffffu}) {
        Sized<T> odd(known, sizeof(T));
        std::memcpy(odd.get(), &garbage, sizeof garbage);
        CHECK(accept(odd.get()) == DS4_ERR_ARGUMENT);
        CHECK(contains(ds4_last_error(), ("expected sizeof(" + name + ")").c_str()));
    }
}

ds4_job_options job_options(uint32_t max_tokens) {
    ds4_job_options options{};
    options.struct_bytes = sizeof options, options.max_tokens = max_tokens,
    options.think_close_token = -1;
    options.sampling.struct_bytes = sizeof options.sampling;
    return options;
}

} // namespace

TEST("a field that the caller's struct lacks or ends within is 0") {
    const ds4::api::StructLayout &layout = ds4::api::layout_of<ds4_sampling>();
    ds4_sampling raw{}, full{};
    std::memset(&raw, 0xff, sizeof raw);
    ds4::api::widen(layout, &raw, offsetof(ds4_sampling, top_k), &full);
    CHECK(full.struct_bytes == 0xffffffff && full.top_k == 0 && full.seed == 0);
    for (size_t cut = offsetof(ds4_sampling, seed) + 1; cut < sizeof raw; cut++) {
        ds4::api::widen(layout, &raw, cut, &full);
        CHECK(full.top_k == 0xffffffff && full.seed == 0);
    }
    ds4::api::widen(layout, &raw, sizeof raw, &full);
    CHECK(full.seed == ~0ull);
}

TEST("a shape of the first header and one of a later header make the same model") {
    const SmallModel parts;
    const auto make = [&](const ds4_shape *shape) {
        ds4_model *model = nullptr;
        const ds4_status status =
            ds4_model_create(shape, parts.layers.data(), uint32_t(parts.layers.size()), &model);
        ds4_model_close(model);
        return status;
    };
    check_longer(parts.shape, make);
    Sized<ds4_shape> first(parts.shape, offsetof(ds4_shape, layer_options_bytes));
    CHECK(make(first.get()) == DS4_OK);
    Sized<ds4_shape> short_by_needed(parts.shape, offsetof(ds4_shape, yarn_original_tokens));
    CHECK(make(short_by_needed.get()) == DS4_ERR_FORMAT);
    CHECK(contains(ds4_last_error(), "yarn_original_tokens is 0"));
}

TEST("arrays of a caller with longer structs are read by its stride") {
    SmallModel parts;
    struct LongerTensor {
        ds4_tensor known;
        uint64_t news;
    };
    struct LongerLayer {
        ds4_layer_options known;
        uint32_t news;
    };
    parts.shape.tensor_bytes = sizeof(LongerTensor);
    parts.shape.layer_options_bytes = sizeof(LongerLayer);
    std::vector<LongerLayer> layers;
    for (const ds4_layer_options &each : parts.layers) layers.push_back({each, 0});
    std::vector<LongerTensor> tensors;
    for (const ds4_tensor &each : parts.tensors) tensors.push_back({each, 0});
    const auto make = [&] {
        ds4_model *model = nullptr;
        uint32_t file = 0;
        ds4_status status = ds4_model_create(&parts.shape, &layers[0].known, 3, &model);
        if (status == DS4_OK) status = ds4_model_add_file(model, parts.path.c_str(), &file);
        if (status == DS4_OK)
            status = ds4_model_add_tensors(model, &tensors[0].known, tensors.size(),
                                           parts.names.data(), parts.names.size());
        if (status == DS4_OK) status = ds4_model_seal(model);
        ds4_model_close(model);
        return status;
    };
    CHECK(make() == DS4_OK);
    tensors.back().news = 1;
    CHECK(make() == DS4_ERR_ARGUMENT && contains(ds4_last_error(), "ds4_tensor has 96 bytes"));
    layers[1].news = 1;
    CHECK(make() == DS4_ERR_ARGUMENT &&
          contains(ds4_last_error(), "ds4_layer_options has 20 bytes"));
    layers[1].news = 0, layers[1].known.reserved = 1;
    CHECK(make() == DS4_ERR_ARGUMENT && contains(ds4_last_error(), "reserved field of layer 1"));
    for (const uint32_t bytes : {87u, 4097u}) {
        parts.shape.tensor_bytes = bytes;
        CHECK(make() == DS4_ERR_ARGUMENT && contains(ds4_last_error(), "bytes an element"));
    }
}

TEST("engine and session options of an older or a newer header are accepted") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    ds4_engine *engine = nullptr;
    const auto open = [&](const ds4_engine_options *options) {
        ds4_engine_close(engine);
        engine = nullptr;
        return ds4_engine_open(model, options, &engine);
    };
    ds4_engine_options options{};
    options.threads = 1, options.experts = DS4_EXPERTS_MAPPED;
    check_longer(options, open);
    Sized<ds4_engine_options> shorter(options, offsetof(ds4_engine_options, session_tokens));
    CHECK(open(shorter.get()) == DS4_OK);
    options.step_item_bytes = 15;
    Sized<ds4_engine_options> small_items(options, sizeof options);
    CHECK(open(small_items.get()) == DS4_ERR_ARGUMENT);
    CHECK(open(nullptr) == DS4_OK);

    ds4_session *session = nullptr;
    const auto open_session = [&](const ds4_session_options *wanted) {
        ds4_session_close(session);
        session = nullptr;
        return ds4_session_open(engine, wanted, &session);
    };
    check_longer(ds4_session_options{0, 64, nullptr}, open_session);
    Sized<ds4_session_options> bare({0, 64, nullptr}, 4);
    CHECK(open_session(bare.get()) == DS4_ERR_ARGUMENT &&
          contains(ds4_last_error(), "context_tokens is 0"));
    ds4_session_close(session);
    ds4_engine_close(engine);
    ds4_model_close(model);
}

TEST("sampling that ends after its size is greedy") {
    ds4_sampler *sampler = nullptr;
    const auto open = [&](const ds4_sampling *sampling) {
        ds4_sampler_close(sampler);
        sampler = nullptr;
        return ds4_sampler_open(sampling, &sampler);
    };
    check_longer(ds4_sampling{0, 1.0f, 0.9f, 0.0f, 40, 0, 7}, open);
    Sized<ds4_sampling> bare({0, 1.0f, 1.0f, 0.0f, 0, 0, 7}, 4);
    CHECK(open(bare.get()) == DS4_OK);
    const float logits[] = {0.0f, 0.3f, 0.2f};
    for (int i = 0; i < 20; i++) {
        int32_t token = -1;
        CHECK(ds4_sampler_draw(sampler, logits, 3, 0, &token) == DS4_OK && token == 1);
    }
    ds4_sampler_close(sampler);
}

TEST("job options of an older or a newer header are accepted, their sampling within its place") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    const int32_t token = 5;
    const auto start = [&](const ds4_job_options *options) {
        ds4_session *session = engine.open_session();
        uint64_t job = 0;
        const ds4_status status =
            ds4_job_start(engine.engine, session, options, &token, 1, nullptr, nullptr, 0, &job);
        const std::string error = ds4_last_error();
        if (status == DS4_OK)
            while (engine.poll(job).status == DS4_JOB_RUNNING) {
            }
        ds4_session_close(session);
        if (status == DS4_OK)
            ds4_job_free(engine.engine, job);
        else
            ds4_engine_trace_read(engine.engine, nullptr, nullptr, 0, nullptr);
        return std::pair(status, error);
    };
    ds4_job_options options = job_options(1);
    for (const size_t bytes :
         {offsetof(ds4_job_options, top_logprobs), offsetof(ds4_job_options, tool_names),
          offsetof(ds4_job_options, sampling), sizeof options + 8}) {
        Sized<ds4_job_options> sized(options, bytes);
        CHECK(start(sized.get()).first == DS4_OK);
    }
    Sized<ds4_job_options> newer(options, sizeof options + 8);
    newer.byte(sizeof options) = 1;
    CHECK(start(newer.get()).first == DS4_ERR_ARGUMENT);
    CHECK(contains(start(newer.get()).second, "ds4_job_options has 112 bytes, and byte 104 is 1"));

    options.sampling.struct_bytes = 8; // temperature alone
    options.sampling.reserved = 9;     // garbage behind the end of a short struct
    CHECK(start(&options).first == DS4_OK);
    options.sampling.struct_bytes = sizeof options.sampling + 8;
    CHECK(contains(start(&options).second, "inside another struct it has at most 32 bytes"));
    options.sampling.struct_bytes = 0;
    CHECK(contains(start(&options).second, "ds4_sampling: struct_bytes is 0"));
    options = job_options(1), options.reserved = 1;
    CHECK(contains(start(&options).second,
                   "reserved fields of job, marks and sampling are 1, 0 and 0"));
}

TEST("a job's state fills what the caller's struct has, and no byte behind it") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session();
    const uint64_t job = engine.start(session, {1, 2, 3}, 4);
    while (engine.poll(job).status == DS4_JOB_RUNNING) {
    }
    const ds4_job_state full = engine.poll(job);
    CHECK(full.generated == 4 && full.prompt_processed == 3 && full.prefill_us > 0);
    const auto poll = [&](uint32_t struct_bytes) {
        std::vector<uint8_t> bytes(struct_bytes + 8, 0xab);
        std::memcpy(bytes.data(), &struct_bytes, 4);
        CHECK(ds4_job_poll(engine.engine, job, nullptr, 0,
                           reinterpret_cast<ds4_job_state *>(bytes.data())) == DS4_OK);
        CHECK(std::memcmp(bytes.data(), &struct_bytes, 4) == 0); // the caller's own size stays
        for (uint32_t i = 0; i < 8; i++) CHECK(bytes[struct_bytes + i] == 0xab);
        return bytes;
    };
    const auto same = [&](const std::vector<uint8_t> &bytes, size_t end) {
        return std::memcmp(bytes.data() + 4, reinterpret_cast<const uint8_t *>(&full) + 4,
                           end - 4) == 0;
    };
    CHECK(same(poll(sizeof full), sizeof full));
    CHECK(same(poll(offsetof(ds4_job_state, prefill_us)), offsetof(ds4_job_state, prefill_us)));
    const std::vector<uint8_t> cut = poll(offsetof(ds4_job_state, decode_us) + 4);
    CHECK(same(cut, offsetof(ds4_job_state, decode_us)));
    CHECK(cut[offsetof(ds4_job_state, decode_us)] == 0xab);
    const std::vector<uint8_t> longer = poll(sizeof full + 24);
    CHECK(same(longer, sizeof full));
    for (size_t i = 0; i < 24; i++) CHECK(longer[sizeof full + i] == 0);
    ds4_job_state none{};
    CHECK(ds4_job_poll(engine.engine, job, nullptr, 0, &none) == DS4_ERR_ARGUMENT);
    ds4_job_free(engine.engine, job);
    ds4_session_close(session);
}

TEST("steps and polls use the strides that the engine was opened with") {
    const SmallModel parts;
    const SmallEngine plain(parts);
    ds4_model *model = parts.open();
    struct LongerItem {
        ds4_step_item known;
        uint64_t news;
    };
    struct LongerToken {
        ds4_job_token known;
        uint32_t news;
    };
    ds4_engine_options options{};
    options.struct_bytes = sizeof options, options.threads = 1;
    options.numerics = DS4_NUMERICS_TRAINED, options.max_step_tokens = 64;
    options.step_item_bytes = sizeof(LongerItem), options.job_token_bytes = sizeof(LongerToken);
    ds4_engine *engine = nullptr;
    expect_ok(ds4_engine_open(model, &options, &engine));
    const ds4_session_options context{sizeof context, 64, nullptr};
    ds4_session *sessions[2] = {};
    for (ds4_session *&each : sessions) expect_ok(ds4_session_open(engine, &context, &each));
    LongerItem items[2] = {{{sessions[0], 2, DS4_LOGITS_LAST}, 0},
                           {{sessions[1], 1, DS4_LOGITS_LAST}, 0}};
    const int32_t tokens[] = {1, 2, 3};
    std::vector<float> logits(2 * 48);
    const auto step = [&] {
        return ds4_engine_step(engine, &items[0].known, 2, tokens, 3, logits.data(), logits.size());
    };
    items[1].news = 1;
    CHECK(step() == DS4_ERR_ARGUMENT && contains(ds4_last_error(), "ds4_step_item has 24 bytes"));
    items[1].news = 0;
    expect_ok(step());
    ds4_session *other = plain.open_session();
    const std::vector<float> expected = plain.step(other, {3});
    CHECK(std::equal(expected.begin(), expected.end(), logits.begin() + 48));
    ds4_session_close(other);

    const ds4_job_options job_wanted = job_options(40);
    uint64_t job = 0;
    expect_ok(
        ds4_job_start(engine, sessions[0], &job_wanted, tokens, 3, nullptr, nullptr, 0, &job));
    std::vector<int32_t> ids;
    ds4_job_state state{};
    state.struct_bytes = sizeof state;
    do {
        std::vector<LongerToken> out(21);
        std::memset(static_cast<void *>(out.data()), 0xab, out.size() * sizeof(LongerToken));
        expect_ok(ds4_job_poll(engine, job, &out[0].known, 20, &state));
        CHECK(state.token_count <= 20 && out[state.token_count].news == 0xabababab);
        for (uint32_t i = 0; i < state.token_count; i++) {
            CHECK(out[i].news == 0 && out[i].known.top_count == 0);
            ids.push_back(out[i].known.id);
        }
    } while (state.status == DS4_JOB_RUNNING || state.pending_tokens > 0);
    CHECK(state.generated == 40 && ids.size() == 40);
    CHECK(std::all_of(ids.begin(), ids.end(), [](int32_t id) { return id >= 0 && id < 48; }));
    ds4_job_free(engine, job);
    for (ds4_session *each : sessions) ds4_session_close(each);
    ds4_engine_close(engine);
    ds4_model_close(model);
}
