// Starts a kernel. A kernel is a __global__ function of one plain struct by value.
#pragma once
#include <cstdint>

#include "device/device.h"
#ifdef DS4_EMULATED_GPU
#include "device/emulated/block.h"
#endif

namespace ds4::device {

struct LaunchShape {
    int64_t blocks = 1;         // along x; 0: nothing is launched
    int blocks_y = 1;           // along y
    int threads = 128;          // a multiple of 32
    int64_t shared_bytes = 0;   // dynamic shared memory of a block
    int cluster = 1;            // blocks along x that share a cluster; 1 below sm_90
    bool after_trigger = false; // may begin before its predecessor ends (kernel.h, await_previous)
};

#ifdef DS4_EMULATED_GPU
template <typename Params>
void launch(void (*kernel)(Params), const LaunchShape &shape, Stream &stream,
            const Params &params) {
    emulated::run_blocks(shape, [&] { kernel(params); });
}
#else
// Throws Error(DS4_ERR_DEVICE) for a launch that the driver refuses.
void launch_kernel(const void *kernel, const LaunchShape &shape, Stream &stream, void **arguments);

template <typename Params>
void launch(void (*kernel)(Params), const LaunchShape &shape, Stream &stream,
            const Params &params) {
    void *arguments[] = {const_cast<Params *>(&params)};
    launch_kernel(reinterpret_cast<const void *>(kernel), shape, stream, arguments);
}
#endif

} // namespace ds4::device
