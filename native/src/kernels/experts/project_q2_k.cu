#include "kernels/experts/project_int8.cuh"
#include "kernels/formats/q2_k.cuh"

namespace ds4::kernels::experts {

Projector q2_k_projector() { return projector<formats::Q2K>(); }

} // namespace ds4::kernels::experts
