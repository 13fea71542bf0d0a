#include "kernels/methods.h"

#include "kernels/kernels.h"
#include "kt_bridge.h"

namespace ds4::ktb {
namespace {

constexpr MethodTraits kMethods[] = {
    {"MXFP4", KTB_MXFP4, 32, 32},
};

} // namespace

const MethodTraits &method_traits(Method method) { return kMethods[size_t(method)]; }

bool find_method(int abi_number, Method &out) {
    for (size_t i = 0; i < sizeof kMethods / sizeof kMethods[0]; i++)
        if (kMethods[i].abi_number == abi_number) {
            out = Method(i);
            return true;
        }
    return false;
}

size_t tile_bytes(Method, int inputs) { return size_t(inputs / kGroup) * kTileBytes; }

} // namespace ds4::ktb
