// Hardware threads that the calling thread may run on.
#pragma once
#include <vector>

namespace ds4 {

std::vector<int> allowed_cpus(); // of the thread's affinity mask, ascending, never empty

} // namespace ds4
