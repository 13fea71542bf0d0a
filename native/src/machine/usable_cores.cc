#include "machine/usable_cores.h"

#include <algorithm>

#include "base/allowed_cpus.h"
#include "machine/control_groups.h"

namespace ds4::machine {

int usable_cores() {
    const int cpus = int(allowed_cpus().size());
    const double quota = cpu_quota();
    return quota > 0 && quota < cpus ? std::max(1, int(quota)) : cpus;
}

} // namespace ds4::machine
