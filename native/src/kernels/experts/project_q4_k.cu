#include "kernels/experts/project_int8.cuh"
#include "kernels/formats/q4_k.cuh"

namespace ds4::kernels::experts {

Projector q4_k_projector() { return projector<formats::Q4K>(); }

} // namespace ds4::kernels::experts
