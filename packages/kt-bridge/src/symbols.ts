// FFI tables of kt_bridge.h: one row per function, in header order. Part 1 is also in
// KTransformers' kt-kernel.
import type { FFIFunction } from "bun:ffi"
import { struct } from "@ds4/ffi"

/** The oldest revision that this binding works with, major << 16 | minor: all of part 2. */
export const OLDEST_ABI_VERSION = 0x0002_0004
/** The first revision with part 3, and the one that this binding was written for. */
export const SLOTS_ABI_VERSION = 0x0002_0005

export const KT_KERNEL_SYMBOLS = {
  ktb_engine_create: { args: ["i32", "i32"], returns: "ptr" },
  ktb_engine_destroy: { args: ["ptr"], returns: "void" },
  ktb_safetensor_open: { args: ["ptr"], returns: "ptr" },
  ktb_safetensor_close: { args: ["ptr"], returns: "void" },
  ktb_safetensor_get: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "bool" },
  ktb_moe_create: {
    args: ["ptr", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "f32"],
    returns: "ptr",
  },
  ktb_moe_destroy: { args: ["ptr"], returns: "void" },
  ktb_moe_load_weights_ptrs: {
    args: ["ptr", "i32", "ptr", "ptr", "ptr", "ptr", "ptr", "ptr", "ptr"],
    returns: "i32",
  },
  ktb_moe_load_weights_safetensors: { args: ["ptr", "ptr", "i32", "ptr"], returns: "i32" },
  ktb_moe_forward: {
    args: ["ptr", "i32", "ptr", "ptr", "ptr", "ptr", "bool", "f32"],
    returns: "void",
  },
  ktb_moe_forward_f32: {
    args: ["ptr", "i32", "ptr", "ptr", "ptr", "ptr", "bool", "f32"],
    returns: "void",
  },
  ktb_convert_f32_to_bf16: { args: ["ptr", "ptr", "u64"], returns: "void" },
  ktb_convert_bf16_to_f32: { args: ["ptr", "ptr", "u64"], returns: "void" },
} as const satisfies Record<string, FFIFunction>

export const EXTENSION_SYMBOLS = {
  ktb_abi_version: { args: [], returns: "u32" },
  ktb_last_error: { args: [], returns: "cstring" },
  ktb_status: { args: ["ptr"], returns: "i32" },
  ktb_engine_create_json: { args: ["ptr"], returns: "ptr" },
  ktb_engine_describe: { args: ["ptr", "ptr", "u64"], returns: "i32" },
  ktb_moe_forward2: {
    args: ["ptr", "i32", "ptr", "i32", "ptr", "i32", "ptr", "ptr", "u32", "f32"],
    returns: "i32",
  },
  ktb_moe_submit: {
    args: ["ptr", "i32", "ptr", "i32", "ptr", "i32", "ptr", "ptr", "u32", "f32", "ptr"],
    returns: "i32",
  },
  ktb_engine_wait: { args: ["ptr", "u64", "i32"], returns: "i32" },
  ktb_engine_work: { args: ["ptr", "i32", "u64"], returns: "i32" },
  ktb_moe_create_mixed: {
    args: ["ptr", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "f32"],
    returns: "ptr",
  },
  ktb_moe_load_matrices: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  ktb_load_layers: { args: ["ptr", "ptr", "i32", "ptr", "ptr", "i32"], returns: "i32" },
  ktb_load_progress: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  ktb_moe_export_expert: {
    args: ["ptr", "i32", "i32", "ptr", "u64", "ptr", "u64"],
    returns: "i32",
  },
  ktb_selftest: { args: ["ptr"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>

export const SLOTS_SYMBOLS = {
  ktb_moe_keep_experts: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  ktb_moe_slots: { args: ["ptr", "ptr"], returns: "i32" },
  ktb_moe_move_expert: { args: ["ptr", "i32", "i32", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  ktb_moe_create_shared: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  ktb_moe_packed: { args: ["ptr", "i32", "i32", "ptr", "ptr"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>

export const KTB_MATRIX = struct("ktb_matrix", {
  data: "ptr",
  scales: "ptr",
  data_bytes: "u64",
  scale_bytes: "u64",
  format: "u32",
  reserved: "u32",
})

/** Constants of the header. */
export const KTB = {
  KTB_MXFP4: 0,
  KTB_FP8: 1,
  KTB_BF16: 2,
  KTB_FP8_PERCHANNEL: 3,
  KTB_Q8_0: 16,
  KTB_Q2_K: 17,
  KTB_Q4_K: 18,
  KTB_IQ2_XXS: 19,
  KTB_IO_BF16: 0,
  KTB_IO_F32: 1,
  KTB_OK: 0,
  KTB_ERR_ARGUMENT: -1,
  KTB_ERR_FORMAT: -2,
  KTB_ERR_MEMORY: -3,
  KTB_ERR_STATE: -4,
  KTB_ERR_IO: -5,
  KTB_ERR_INTERNAL: -6,
  KTB_FORWARD_INCREMENTAL: 1,
  KTB_FORWARD_STRICT_IDS: 2,
  KTB_FORMAT_Q8_0: 8,
  KTB_FORMAT_Q2_K: 10,
  KTB_FORMAT_Q4_K: 12,
  KTB_FORMAT_IQ2_XXS: 16,
  KTB_FORMAT_BF16: 30,
  KTB_FORMAT_FP8: 1000,
  KTB_FORMAT_FP4: 1001,
  KTB_FORMAT_FP8_F32: 1003,
  KTB_FORMAT_FP8_ROWS: 1004,
} as const
