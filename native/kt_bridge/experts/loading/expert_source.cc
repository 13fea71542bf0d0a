#include "experts/loading/expert_source.h"

#include "pool/expert_error.h"

namespace ds4::ktb {

std::vector<int64_t> mapped_experts(const SourceShape &shape, const int64_t *map) {
    std::vector<int64_t> ids;
    for (int expert = 0; expert < shape.layer.experts; expert++) {
        const int64_t id = map == nullptr ? expert : map[expert];
        if (id < 0 || id >= shape.layer.experts)
            fail(KTB_ERR_ARGUMENT,
                 "layer %d: the map gives source %lld for expert %d; expected 0..%d", shape.index,
                 (long long)id, expert, shape.layer.experts - 1);
        ids.push_back(id);
    }
    return ids;
}

ExpertSource::ExpertSource(const SourceShape &shape) : shape_(shape) {
    if (shape.kept.empty())
        for (int expert = 0; expert < shape.layer.experts; expert++) shape_.kept.push_back(expert);
}

} // namespace ds4::ktb
