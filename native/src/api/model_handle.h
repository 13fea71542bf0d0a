// The handle of a model.
#pragma once
#include <cstdint>

#include "model/model.h"

struct ds4_model {
    ds4::Model model;
    uint32_t tensor_bytes; // from one ds4_tensor of the caller to the next
};
