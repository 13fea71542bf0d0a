// ds4_sampler_* and ds4_zones_*: samplers and trackers outside the scheduler, for tests and single
// steps.
#include <limits>
#include <memory>

#include "api/boundary.h"
#include "api/growable.h"
#include "core/sampling/request_sampling.h"
#include "core/sampling/zone_tracker.h"
#include "ds4.h"
#include "sampling/sampler.h"

struct ds4_sampler {
    ds4::RequestSampling request;
    ds4::Sampler sampler;
};
struct ds4_zones {
    ds4::ZoneTracker tracker;
};

using ds4::api::guarded;
using ds4::api::require_pointer;

ds4_status ds4_sampler_open(const ds4_sampling *settings, ds4_sampler **out_sampler) {
    return guarded([&] {
        require_pointer(settings, "settings");
        require_pointer(out_sampler, "out_sampler");
        *out_sampler =
            new ds4_sampler{ds4::RequestSampling(ds4::api::widened(settings)), ds4::Sampler()};
    });
}

void ds4_sampler_close(ds4_sampler *sampler) { delete sampler; }

ds4_status ds4_sampler_draw(ds4_sampler *sampler, const float *logits, uint32_t vocab,
                            uint32_t greedy, int32_t *out_token) {
    return guarded([&] {
        require_pointer(sampler, "sampler");
        require_pointer(logits, "logits");
        require_pointer(out_token, "out_token");
        if (vocab == 0 || vocab > uint32_t(std::numeric_limits<int32_t>::max()))
            ds4::fail(DS4_ERR_ARGUMENT, "vocab is %u; 1..2147483647 is allowed", vocab);
        *out_token =
            sampler->sampler.sample({logits, vocab}, sampler->request.next(greedy != 0)).id;
    });
}

ds4_status ds4_sampler_random(ds4_sampler *sampler, uint64_t *out_state, uint64_t *out_word,
                              float *out_uniform) {
    return guarded([&] {
        require_pointer(sampler, "sampler");
        require_pointer(out_state, "out_state");
        require_pointer(out_word, "out_word");
        require_pointer(out_uniform, "out_uniform");
        const ds4::Rng::Draw draw = sampler->request.rng().next();
        *out_state = draw.state;
        *out_word = draw.word;
        *out_uniform = draw.uniform;
    });
}

ds4_status ds4_zones_open(ds4_zones **out_zones) {
    return guarded([&] {
        require_pointer(out_zones, "out_zones");
        *out_zones = new ds4_zones{};
    });
}

void ds4_zones_close(ds4_zones *zones) { delete zones; }

ds4_status ds4_zones_declare(ds4_zones *zones, const char *tool_names) {
    return guarded([&] {
        require_pointer(zones, "zones");
        require_pointer(tool_names, "tool_names");
        zones->tracker = ds4::ZoneTracker(ds4::read_tool_names(tool_names));
    });
}

ds4_status ds4_zones_feed(ds4_zones *zones, const uint8_t *bytes, uint64_t byte_count,
                          uint32_t *out_zone) {
    return guarded([&] {
        require_pointer(zones, "zones");
        require_pointer(out_zone, "out_zone");
        if (byte_count > 0) require_pointer(bytes, "bytes");
        *out_zone = zones->tracker.feed({bytes, size_t(byte_count)});
    });
}

ds4_status ds4_zones_closed(ds4_zones *zones, uint32_t *out_blocks) {
    return guarded([&] {
        require_pointer(zones, "zones");
        require_pointer(out_blocks, "out_blocks");
        *out_blocks = zones->tracker.closed_blocks();
    });
}
