// Launches for types whose activations may be rounded to int8.
#pragma once
#include "kernels/experts/exact.cuh"
#include "kernels/experts/few_lines.cuh"
#include "kernels/experts/many_lines.cuh"
#include "kernels/experts/project.h"

namespace ds4::kernels::experts {

// Up to so many rows an expert has few lines; the results are the same.
constexpr int64_t kFewRows = 8;

template <typename Format, bool kGated>
void project(const Projection &p, const StepBounds &bounds, device::Stream &stream) {
    if (p.quants == nullptr)
        launch_exact_lines<Format, kGated>(p, bounds.active, stream);
    else if (bounds.rows == 1)
        launch_few_lines<Format, kGated, true>(p, bounds.active, stream);
    else if (bounds.rows <= kFewRows)
        launch_few_lines<Format, kGated, false>(p, bounds.active, stream);
    else
        launch_many_lines<Format, kGated>(p, bounds.lines, bounds.active, stream);
}
template <typename Format> Projector projector() {
    return {project<Format, true>, project<Format, false>};
}

} // namespace ds4::kernels::experts
