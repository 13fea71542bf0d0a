// What was measured in this process, by what it depends on. Entries are never removed: layers point
// at them.
#pragma once
#include <string>

#include "kernels/calibration.h"

namespace ds4::ktb {

// Thread: any. nullptr: nothing was measured for that key.
const Tuning *find_tuning(const std::string &key);
// The first measurement of a key stays; returns it.
const Tuning *keep_tuning(const std::string &key, Tuning tuning);
// JSON members without braces.
std::string described(const Tuning &tuning);

} // namespace ds4::ktb
