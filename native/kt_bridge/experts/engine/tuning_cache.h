// Measurements of this process, by everything that they depend on. Entries are never removed,
// because layers point at them.
#pragma once
#include <string>

#include "kernels/calibration.h"

namespace ds4::ktb {

// nullptr: nothing was measured for that key. Thread: any.
const Tuning *find_tuning(const std::string &key);
// The first measurement of a key stays; returns it.
const Tuning *keep_tuning(const std::string &key, Tuning tuning);
// JSON members without braces.
std::string described(const Tuning &tuning);

} // namespace ds4::ktb
