// Canonical bytes of a loaded matrix, and their number.
#pragma once
#include "experts/weights/expert_layer.h"
#include "experts/loading/expert_source.h"

namespace ds4::ktb {

struct ExportSizes {
    size_t codes, scales;
};
// For both functions the layer must have the expert, and the caller must hold its weights_lock. The
// buffers hold export_sizes.
ExportSizes export_sizes(const ExpertLayer &layer, int expert, int matrix);
void export_matrix(const ExpertLayer &layer, int expert, int matrix, uint8_t *codes,
                   uint8_t *scales);

} // namespace ds4::ktb
