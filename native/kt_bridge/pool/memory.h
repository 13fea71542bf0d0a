// Memory placed on a NUMA node, with the library's own errors.
#pragma once
#include "base/error.h"
#include "machine/placed_memory.h"
#include "machine/red_zone.h"
#include "pool/expert_error.h"

namespace ds4::ktb {

using machine::allow, machine::forbid, machine::kRedZoneBytes;
using machine::HugePages, machine::Placement, machine::PageUse, machine::page_use;

class Mapping : public machine::Mapping {
  public:
    Mapping() = default;
    // Throws KTB_ERR_MEMORY naming the bytes, and the node when strict binding fails.
    Mapping(size_t bytes, const Placement &placement) try : machine
        ::Mapping(bytes, placement) {}
    catch (const Error &error) {
        fail(KTB_ERR_MEMORY, "%s", error.what());
    }
};

} // namespace ds4::ktb
