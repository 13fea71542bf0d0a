#include "kernels/row_codecs/row_probe.h"

#include "device/kernel.h"
#include "device/launch.h"
#include "kernels/row_codecs/index_row.cuh"
#include "kernels/row_codecs/kv_row.cuh"

namespace ds4::kernels {
namespace {

struct Scratch {
    alignas(16) float row[1024];
};

template <int PerLane> __device__ void probe_index_row(const RowProbeParams &p, int64_t row) {
    if (p.format.channels != PerLane * kWarp || warp() > 0) return;
    float x[PerLane];
    for (int i = 0; i < PerLane; i++) x[i] = p.x[row * p.format.channels + lane() * PerLane + i];
    hadamard(x);
    if (p.what == RowProbe::index_row) return encode_index_row(x, p.out + row * p.format.bytes);
    round_index_row(x);
    for (int i = 0; i < PerLane; i++)
        reinterpret_cast<float *>(p.out)[row * p.format.channels + lane() * PerLane + i] = x[i];
}

__global__ void row_probe_kernel(RowProbeParams p) {
    Scratch &shared = shared_memory<Scratch>();
    const int64_t row = blockIdx.x;
    if (p.what != RowProbe::kv_row) {
        probe_index_row<2>(p, row), probe_index_row<4>(p, row), probe_index_row<8>(p, row);
        return;
    }
    for (int i = int(threadIdx.x); i < p.format.channels; i += int(blockDim.x))
        shared.row[i] = p.x[row * p.format.channels + i];
    __syncthreads();
    encode_kv_row(shared.row, p.format, p.out + row * p.format.bytes);
}

} // namespace

void row_probe(const RowProbeParams &params, device::Stream &stream) {
    launch(row_probe_kernel,
           {.blocks = params.rows, .threads = 96, .shared_bytes = sizeof(Scratch)}, stream, params);
}

} // namespace ds4::kernels
