#include "kernels/experts/project_int8.cuh"
#include "kernels/formats/q8_0.cuh"

namespace ds4::kernels::experts {
namespace {

// The parts of a group of codes that the kernels of experts ask for.
struct Q8_0 : formats::Q8_0 {
    using SharedTable = formats::NoTable;
    struct Scales {
        uint4 pairs;
    };
    static __device__ __forceinline__ Scales scales(const Raw &raw) { return {raw.scales}; }
    static __device__ __forceinline__ float scale(const Scales &scales, int half, int group) {
        return device::f16_to_float(uint16_t(formats::word(scales.pairs, group) >> (16 * half)));
    }
    static __device__ __forceinline__ void words(const Raw &raw, int group, formats::NoTable,
                                                 uint32_t (&a)[4]) {
        const uint4 &q = raw.codes[group];
        a[0] = q.x, a[1] = q.y, a[2] = q.z, a[3] = q.w;
    }
};

} // namespace

Projector q8_0_projector() { return projector<Q8_0>(); }

} // namespace ds4::kernels::experts
