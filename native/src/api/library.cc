// Version, last error, and the layout of the header's structs for the tests of bindings.
#include <string>

#include "api/boundary.h"
#include "api/struct_layouts.h"
#include "ds4.h"

static std::string layout_text() {
    std::string text;
    for (const ds4::api::StructLayout &each : ds4::api::struct_layouts()) {
        text += std::string(each.name) + " " + std::to_string(each.bytes) + "\n";
        for (const ds4::api::StructField &field : each.fields)
            text += std::string(each.name) + "." + field.name + " " + std::to_string(field.offset) +
                    "\n";
    }
    return text;
}

uint32_t ds4_abi_version(void) { return DS4_ABI_VERSION; }

const char *ds4_last_error(void) { return ds4::api::error_text().text; }

const char *ds4_abi_layout(void) {
    static const std::string text = layout_text();
    return text.c_str();
}
