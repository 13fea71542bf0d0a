#include "kernels/experts/project_int8.cuh"
#include "kernels/formats/iq2_xxs.cuh"

namespace ds4::kernels::experts {

Projector iq2_xxs_projector() { return projector<formats::Iq2Xxs>(); }

} // namespace ds4::kernels::experts
