#include "core/sampling/request_sampling.h"

#include <limits>

#include "base/error.h"
#include "base/test.h"

using namespace ds4;

TEST("a greedy record does not move the generator, and an undone one is repeated") {
    const ds4_sampling settings{sizeof(ds4_sampling), 1.0f, 1.0f, 0.0f, 0, 0, 9};
    RequestSampling request(settings), fresh(settings);
    for (int i = 0; i < 5; i++) CHECK(request.next(true).greedy);
    const float first = request.next(false).uniform;
    CHECK(first == fresh.rng().next().uniform);
    const float second = request.next(false).uniform;
    request.undo();
    CHECK(request.next(false).uniform == second && second != first);
}

TEST("settings out of range are read as ds4.h says, and those that are no numbers refused") {
    const SamplingControl record =
        RequestSampling({sizeof(ds4_sampling), 1.0f, 7.0f, -1.0f, 5000, 0, 1}).next(false);
    CHECK(record.top_p == 1.0f && record.min_p == 0.0f && record.top_k == kMaxTopK);
    ds4_status status = DS4_OK;
    try {
        RequestSampling(
            {sizeof(ds4_sampling), std::numeric_limits<float>::quiet_NaN(), 1, 0, 0, 0, 1});
    } catch (const Error &error) {
        status = error.status();
    }
    CHECK(status == DS4_ERR_ARGUMENT);
}
