#include "kernels/experts/project_int8.cuh"
#include "kernels/formats/mxfp4.cuh"

namespace ds4::kernels::experts {

Projector mxfp4_projector() { return projector<formats::Mxfp4>(); }

} // namespace ds4::kernels::experts
