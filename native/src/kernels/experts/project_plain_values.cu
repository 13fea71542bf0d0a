// Types whose activations are not rounded.
#include "kernels/experts/exact.cuh"
#include "kernels/experts/project.h"
#include "kernels/formats/f8_e4m3.cuh"
#include "kernels/formats/plain_values.cuh"

namespace ds4::kernels::experts {
namespace {

template <typename Format, bool kGated>
void project_exactly(const Projection &p, const StepBounds &bounds, device::Stream &stream) {
    launch_exact_lines<Format, kGated>(p, bounds.active, stream);
}
template <typename Format> Projector exact_projector() {
    return {project_exactly<Format, true>, project_exactly<Format, false>};
}

} // namespace

Projector f8_e4m3_projector() { return exact_projector<formats::F8E4m3>(); }
Projector f32_projector() { return exact_projector<formats::F32>(); }
Projector f16_projector() { return exact_projector<formats::F16>(); }
Projector bf16_projector() { return exact_projector<formats::Bf16>(); }

} // namespace ds4::kernels::experts
