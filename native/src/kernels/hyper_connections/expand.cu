#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/hyper_connections/hyper_connections.h"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kExpandThreads = 128;
constexpr int kMostStreams = 16; // Shape's limit

// N streams, or up to N where params.stream_count is fewer. A thread takes one channel of all
// streams.
template <int N> __global__ void expand_kernel(ExpandParams p) {
    const int n = N == 4 ? 4 : p.stream_count;
    const int64_t row = blockIdx.x;
    const int d = int(blockIdx.y) * kExpandThreads + int(threadIdx.x);
    await_previous();
    let_next_begin();
    if (d >= p.hidden) return;
    float *streams = p.streams + row * n * p.hidden + d, old[N];
#pragma unroll
    for (int j = 0; j < N; j++)
        if (j < n) old[j] = streams[int64_t(j) * p.hidden];
    const float y = p.y[row * p.hidden + d];
    const float *comb = p.comb + row * n * n;
    for (int k = 0; k < n; k++) {
        float sum = p.post[row * n + k] * y;
#pragma unroll
        for (int j = 0; j < N; j++)
            if (j < n) sum = fmaf(comb[j * n + k], old[j], sum);
        streams[int64_t(k) * p.hidden] = sum;
    }
}

} // namespace

void expand_streams(const ExpandParams &params, Stream &stream) {
    if (params.stream_count < 1 || params.stream_count > kMostStreams)
        fail(DS4_ERR_ARGUMENT, "%d streams; expected 1 to %d", params.stream_count, kMostStreams);
    const LaunchShape shape{.blocks = params.rows,
                            .blocks_y = (params.hidden + kExpandThreads - 1) / kExpandThreads,
                            .threads = kExpandThreads,
                            .after_trigger = true};
    launch(params.stream_count == 4 ? expand_kernel<4> : expand_kernel<kMostStreams>, shape, stream,
           params);
}

} // namespace ds4::kernels
