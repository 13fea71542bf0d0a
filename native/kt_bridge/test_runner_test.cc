#include "base/test_runner_test.cc"
