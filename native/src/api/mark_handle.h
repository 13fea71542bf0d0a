// The object behind a ds4_mark handle.
#pragma once
#include <memory>

#include "kv/mark.h"

struct ds4_mark {
    std::shared_ptr<const ds4::Mark> mark;
};
