// The handle of a model.
#pragma once
#include "model/model.h"

struct ds4_model {
    ds4::Model model;
};
