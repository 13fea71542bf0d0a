// The structs of ds4.h as the compiler lays them out.
#pragma once
#include <cstddef>
#include <span>

struct ds4_engine_options;
struct ds4_job_options;
struct ds4_job_state;
struct ds4_job_token;
struct ds4_layer_options;
struct ds4_sampling;
struct ds4_session_options;
struct ds4_shape;
struct ds4_step_item;
struct ds4_tensor;

namespace ds4::api {

struct StructField {
    const char *name;
    size_t offset, bytes;
};
struct StructLayout {
    const char *name;
    size_t bytes;
    std::span<const StructField> fields;
};

std::span<const StructLayout> struct_layouts(); // in the order of ds4.h

template <typename T> const StructLayout &layout_of();
template <> const StructLayout &layout_of<ds4_engine_options>();
template <> const StructLayout &layout_of<ds4_job_options>();
template <> const StructLayout &layout_of<ds4_job_state>();
template <> const StructLayout &layout_of<ds4_job_token>();
template <> const StructLayout &layout_of<ds4_layer_options>();
template <> const StructLayout &layout_of<ds4_sampling>();
template <> const StructLayout &layout_of<ds4_session_options>();
template <> const StructLayout &layout_of<ds4_shape>();
template <> const StructLayout &layout_of<ds4_step_item>();
template <> const StructLayout &layout_of<ds4_tensor>();

} // namespace ds4::api
