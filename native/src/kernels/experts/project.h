// The two launches of routed experts of one weight type. Each type is a file of its own, so that
// they compile side by side.
#pragma once
#include "kernels/experts/projection.cuh"

namespace ds4::kernels::experts {

// The most that a step can have, whatever its routes.
struct StepBounds {
    int64_t rows, lines, active;
};

// up: gate and up; down: down.
struct Projector {
    void (*up)(const Projection &, const StepBounds &, device::Stream &) = nullptr;
    void (*down)(const Projection &, const StepBounds &, device::Stream &) = nullptr;
};
Projector iq2_xxs_projector();
Projector q2_k_projector();
Projector q4_k_projector();
Projector mxfp4_projector();
Projector q8_0_projector();
Projector f8_e4m3_projector();
Projector f32_projector();
Projector f16_projector();
Projector bf16_projector();

} // namespace ds4::kernels::experts
