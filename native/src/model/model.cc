#include "model/model.h"

#include <cstring>

#include "base/assert.h"
#include "base/blocked_signals.h"
#include "base/fail.h"
#include "ds4.h"
#include "format/convert.h"
#include "model/expected_tensors.h"

namespace ds4 {

static_assert(kTensorKinds == DS4_TENSOR_KIND_COUNT);

namespace {

// Checks that every id of a router table is below the number of experts. The router reads them
// without a check.
void check_table(const TensorView &table, const Shape &shape, const char *name) {
    const int64_t count = table.rows * table.cols;
    for (int64_t i = 0; i < count; i++) {
        int64_t id;
        if (table.type == DS4_TYPE_I64) {
            std::memcpy(&id, table.data + i * 8, 8);
        } else {
            int32_t narrow;
            std::memcpy(&narrow, table.data + i * 4, 4);
            id = narrow;
        }
        if (id < 0 || id >= shape.experts)
            fail(DS4_ERR_FORMAT, "%s: entry %lld of token %lld is expert %lld; expected 0..%d",
                 name, (long long)(i % table.cols), (long long)(i / table.cols), (long long)id,
                 shape.experts - 1);
    }
}

void check_range(uint64_t offset, uint64_t bytes, const MappedFile &file, const char *name) {
    if (offset > file.bytes() || bytes > file.bytes() - offset)
        fail(DS4_ERR_FORMAT,
             "%s: bytes %llu..%llu lie outside %s of %llu bytes: the file is truncated or damaged",
             name, (unsigned long long)offset, (unsigned long long)(offset + bytes),
             file.path().c_str(), (unsigned long long)file.bytes());
}

void place(TensorView &slot, const TensorView &view, const char *name) {
    if (slot) fail(DS4_ERR_FORMAT, "%s came twice", name);
    slot = view;
}

} // namespace

TensorView TensorView::slice_rows(int64_t begin, int64_t count) const {
    TensorView out = *this;
    out.rows = count;
    out.data = data + uint64_t(begin) * row_bytes(type, uint64_t(cols));
    if (type == DS4_TYPE_F8_E4M3)
        out.scales = scales + uint64_t(begin / 128) * uint64_t((cols + 127) / 128);
    if (type == DS4_TYPE_FP4_PACKED) out.scales = scales + uint64_t(begin) * uint64_t(cols / 32);
    return out;
}

uint64_t TensorView::data_bytes() const { return uint64_t(rows) * row_bytes(type, uint64_t(cols)); }

uint64_t TensorView::scale_bytes() const {
    return ds4::scale_bytes(type, uint64_t(rows), uint64_t(cols));
}

std::vector<TensorView> &LayerTensors::experts_of(int kind) {
    return kind == DS4_TENSOR_EXPERT_GATE ? gate : kind == DS4_TENSOR_EXPERT_UP ? up : down;
}

Model::Model(Shape shape) : shape_(std::move(shape)) {
    layers_.resize(size_t(shape_.layers));
    for (LayerTensors &layer : layers_)
        for (auto *experts : {&layer.gate, &layer.up, &layer.down})
            experts->resize(size_t(shape_.experts));
}

uint32_t Model::add_file(const std::string &path) {
    if (sealed_) fail(DS4_ERR_ARGUMENT, "the model is sealed; no file can be added");
    files_.emplace_back(path);
    return uint32_t(files_.size() - 1);
}

void Model::add_tensors(const ds4_tensor *tensors, uint64_t tensor_count, const char *names,
                        uint64_t names_bytes) {
    const UnblockedFaults faults;
    if (sealed_) fail(DS4_ERR_ARGUMENT, "the model is sealed; no tensor can be added");
    if (names_bytes == 0 || names[names_bytes - 1] != '\0')
        fail(DS4_ERR_ARGUMENT, "the names must end with a NUL");
    for (uint64_t i = 0; i < tensor_count; i++) {
        const ds4_tensor &tensor = tensors[i];
        if (tensor.name_offset >= names_bytes)
            fail(DS4_ERR_ARGUMENT, "tensor %llu: its name lies outside the names",
                 (unsigned long long)i);
        add_tensor(tensor, names + tensor.name_offset);
    }
}

TensorView Model::view_of(const ds4_tensor &tensor, const char *name) const {
    const TypeTraits *traits = type_traits(tensor.type);
    DS4_ASSERT(traits != nullptr);
    if (tensor.file >= files_.size())
        fail(DS4_ERR_ARGUMENT, "%s: file %u of %zu", name, tensor.file, files_.size());
    const uint64_t row = row_bytes(tensor.type, tensor.cols);
    if (row == 0)
        fail(DS4_ERR_FORMAT, "%s: %llu columns are not a multiple of the %u of %s", name,
             (unsigned long long)tensor.cols, traits->block_elements, traits->name);
    // The limits of a shape keep rows, cols and depth so small that these products cannot overflow.
    const uint64_t expected = row * tensor.rows * tensor.depth;
    if (tensor.bytes != expected)
        fail(DS4_ERR_FORMAT, "%s: %llu bytes; [%llu, %llu, %llu] of %s takes %llu", name,
             (unsigned long long)tensor.bytes, (unsigned long long)tensor.depth,
             (unsigned long long)tensor.rows, (unsigned long long)tensor.cols, traits->name,
             (unsigned long long)expected);
    check_range(tensor.offset, tensor.bytes, files_[tensor.file], name);
    TensorView view{tensor.type, int64_t(tensor.rows), int64_t(tensor.cols),
                    files_[tensor.file].data() + tensor.offset, nullptr};
    if (traits->separate_scales) {
        if (tensor.scale_file >= files_.size())
            fail(DS4_ERR_ARGUMENT, "%s: scale file %u of %zu", name, tensor.scale_file,
                 files_.size());
        const uint64_t scales = scale_bytes(tensor.type, tensor.rows, tensor.cols);
        if (tensor.depth != 1 || tensor.scale_bytes != scales)
            fail(DS4_ERR_FORMAT, "%s: its scales take %llu bytes; expected %llu", name,
                 (unsigned long long)tensor.scale_bytes, (unsigned long long)scales);
        check_range(tensor.scale_offset, tensor.scale_bytes, files_[tensor.scale_file], name);
        view.scales = files_[tensor.scale_file].data() + tensor.scale_offset;
    }
    return view;
}

// Throws Error for a tensor that does not fit its role in a model of this shape.
void Model::check_role(const ds4_tensor &tensor, const ExpectedTensor &expected,
                       const char *name) const {
    if ((expected.scope == TensorScope::model) != (tensor.layer == -1))
        fail(DS4_ERR_ARGUMENT, "%s: layer %d does not fit its role", name, tensor.layer);
    if (expected.scope != TensorScope::expert && tensor.expert != -1)
        fail(DS4_ERR_ARGUMENT, "%s: expert %d does not fit its role; expected -1", name,
             tensor.expert);
    if (!expected.present)
        fail(DS4_ERR_FORMAT, "%s: layer %d has no such tensor", name, tensor.layer);
    if (!type_allowed(expected.use, expected.scope, tensor.type)) {
        const TypeTraits *traits = type_traits(tensor.type);
        fail(DS4_ERR_FORMAT, "%s: storage type %u (%s) is not supported for this tensor", name,
             tensor.type, traits != nullptr ? traits->name : "unknown");
    }
    const bool stacked = expected.scope == TensorScope::expert && tensor.expert == -1;
    const uint64_t depth = stacked ? uint64_t(shape_.experts) : 1;
    if (tensor.rows != uint64_t(expected.rows) || tensor.cols != uint64_t(expected.cols) ||
        tensor.depth != depth)
        fail(DS4_ERR_FORMAT, "%s: shape [%llu, %llu, %llu]; expected [%llu, %lld, %lld]", name,
             (unsigned long long)tensor.depth, (unsigned long long)tensor.rows,
             (unsigned long long)tensor.cols, (unsigned long long)depth, (long long)expected.rows,
             (long long)expected.cols);
}

void Model::place_expert(const ds4_tensor &tensor, const TensorView &view, const char *name) {
    std::vector<TensorView> &experts = layers_[size_t(tensor.layer)].experts_of(int(tensor.kind));
    if (tensor.expert == -1) {
        for (int e = 0; e < shape_.experts; e++)
            place(experts[size_t(e)], view.slice_rows(int64_t(e) * view.rows, view.rows), name);
        return;
    }
    if (tensor.expert < 0 || tensor.expert >= shape_.experts)
        fail(DS4_ERR_ARGUMENT, "%s: expert %d of %d", name, tensor.expert, shape_.experts);
    place(experts[size_t(tensor.expert)], view, name);
}

void Model::add_tensor(const ds4_tensor &tensor, const char *name) {
    if (tensor.layer < -1 || tensor.layer >= shape_.layers)
        fail(DS4_ERR_ARGUMENT, "%s: layer %d of %d", name, tensor.layer, shape_.layers);
    if (tensor.reserved != 0)
        fail(DS4_ERR_ARGUMENT, "%s: the reserved field is %u; expected 0", name, tensor.reserved);
    const ExpectedTensor expected = expected_tensor(shape_, int(tensor.kind), tensor.layer);
    check_role(tensor, expected, name);
    const TensorView view = view_of(tensor, name);
    used_bytes_ += tensor.bytes + tensor.scale_bytes;
    if (expected.scope == TensorScope::model) return place(global_[tensor.kind], view, name);
    if (expected.scope == TensorScope::expert) return place_expert(tensor, view, name);
    if (expected.use == TensorUse::table) check_table(view, shape_, name);
    if (tensor.kind == DS4_TENSOR_ATTN_OUTPUT_A && view.type == DS4_TYPE_F8_E4M3 &&
        shape_.o_lora_rank % 128 != 0)
        fail(DS4_ERR_FORMAT,
             "%s: o_lora_rank %d is not a multiple of 128, the height of its FP8 scale blocks",
             name, shape_.o_lora_rank);
    place(layers_[size_t(tensor.layer)].single[tensor.kind], view, name);
}

void Model::seal() {
    if (sealed_) return;
    for (int kind = 0; kind < DS4_TENSOR_KIND_COUNT; kind++) {
        const ExpectedTensor global = expected_tensor(shape_, kind, -1);
        if (global.scope == TensorScope::model) {
            if (!global_[kind]) fail(DS4_ERR_FORMAT, "%s is missing", global.name);
            continue;
        }
        for (int l = 0; l < shape_.layers; l++) {
            const ExpectedTensor expected = expected_tensor(shape_, kind, l);
            if (!expected.present) continue;
            const LayerTensors &layer = layers_[size_t(l)];
            if (expected.scope == TensorScope::layer) {
                if (!layer[kind]) fail(DS4_ERR_FORMAT, "blk.%d.%s is missing", l, expected.name);
                continue;
            }
            const std::vector<TensorView> &experts = layer.experts_of(kind);
            for (int e = 0; e < shape_.experts; e++)
                if (!experts[size_t(e)])
                    fail(DS4_ERR_FORMAT, "expert %d of blk.%d.%s is missing", e, l, expected.name);
        }
    }
    check_pages(files_); // routing tables have been read
    sealed_ = true;
}

uint64_t Model::mapped_bytes() const {
    uint64_t total = 0;
    for (const MappedFile &file : files_) total += file.bytes();
    return total;
}

} // namespace ds4
