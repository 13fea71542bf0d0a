// The processor's name and the features that some kernel asks for.
#pragma once
#include <string>
#include <vector>

namespace ds4::machine {

std::string cpu_model(); // "unknown" when the processor does not say
// Names of the features that the processor has, even where the system does not save their
// registers.
std::vector<std::string> cpu_features();

} // namespace ds4::machine
