// Hardware threads that this process may use at once.
#pragma once

namespace ds4::machine {

int usable_cores(); // allowed CPUs, or fewer under a CPU quota of the control group; >= 1

} // namespace ds4::machine
