// Hardware threads that this process may use.
#pragma once
#include <vector>

namespace ds4::machine {

std::vector<int> allowed_cpus(); // of the calling thread's affinity mask, ascending, never empty
int usable_cores(); // allowed CPUs, or fewer under a CPU quota of the control group; >= 1

} // namespace ds4::machine
