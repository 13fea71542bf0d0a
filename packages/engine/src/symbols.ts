// The FFI table of native/include/ds4.h: one row per function, in header order, then its structs
// and constants. The only place that spells ABI types in TypeScript; tests hold it against the
// header and the library.
import type { FFIFunction } from "bun:ffi"
import { struct } from "@ds4/ffi"

export const ABI_VERSION = 1

export const DS4_SYMBOLS = {
  ds4_abi_version: { args: [], returns: "u32" },
  ds4_last_error: { args: [], returns: "cstring" },
  ds4_abi_layout: { args: [], returns: "cstring" },
  ds4_machine: { args: [], returns: "cstring" },
  ds4_row_bytes: { args: ["u32", "u64"], returns: "u64" },
  ds4_convert_rows: {
    args: ["u32", "ptr", "u64", "ptr", "u64", "u32", "ptr", "u64", "u64", "u64", "u64"],
    returns: "i32",
  },
  ds4_model_create: { args: ["ptr", "ptr", "u32", "ptr"], returns: "i32" },
  ds4_model_add_file: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  ds4_model_add_tensors: { args: ["ptr", "ptr", "u64", "ptr", "u64"], returns: "i32" },
  ds4_model_seal: { args: ["ptr"], returns: "i32" },
  ds4_model_close: { args: ["ptr"], returns: "void" },
  ds4_engine_open: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  ds4_engine_plan: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  ds4_engine_close: { args: ["ptr"], returns: "void" },
  ds4_engine_describe: { args: ["ptr", "ptr", "u64"], returns: "u64" },
  ds4_engine_cache_bytes: { args: ["ptr"], returns: "u64" },
  ds4_engine_cache_room: { args: ["ptr"], returns: "u64" },
  ds4_session_open: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  ds4_session_close: { args: ["ptr"], returns: "void" },
  ds4_session_position: { args: ["ptr"], returns: "u32" },
  ds4_session_bytes: { args: ["ptr"], returns: "u64" },
  ds4_session_reset: { args: ["ptr"], returns: "i32" },
  ds4_session_snapshot_bytes: { args: ["ptr"], returns: "u64" },
  ds4_session_snapshot: { args: ["ptr", "ptr", "u64", "ptr"], returns: "i32" },
  ds4_session_restore: { args: ["ptr", "ptr", "u64"], returns: "i32" },
  ds4_session_cancel: { args: ["ptr"], returns: "i32" },
  ds4_session_mark: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_session_cut: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_mark_share: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_mark_close: { args: ["ptr"], returns: "void" },
  ds4_mark_position: { args: ["ptr"], returns: "u32" },
  ds4_mark_bytes: { args: ["ptr"], returns: "u64" },
  ds4_mark_own_bytes: { args: ["ptr"], returns: "u64" },
  ds4_mark_tokens: { args: ["ptr", "ptr", "u64"], returns: "i32" },
  ds4_mark_region_count: { args: ["ptr"], returns: "u32" },
  ds4_mark_region_bytes: { args: ["ptr", "u32"], returns: "u64" },
  ds4_mark_read_region: { args: ["ptr", "u32", "ptr", "u64", "ptr"], returns: "i32" },
  ds4_mark_import_open: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_mark_import_write: { args: ["ptr", "ptr", "u64"], returns: "i32" },
  ds4_mark_import_finish: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_mark_import_close: { args: ["ptr"], returns: "void" },
  ds4_engine_step: { args: ["ptr", "ptr", "u32", "ptr", "u64", "ptr", "u64"], returns: "i32" },
  ds4_engine_trace: { args: ["ptr", "u32"], returns: "i32" },
  ds4_engine_trace_names: { args: ["ptr", "ptr", "u64"], returns: "u64" },
  ds4_engine_trace_read: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  ds4_sampler_open: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_sampler_close: { args: ["ptr"], returns: "void" },
  ds4_sampler_draw: { args: ["ptr", "ptr", "u32", "u32", "ptr"], returns: "i32" },
  ds4_sampler_random: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  ds4_zones_open: { args: ["ptr"], returns: "i32" },
  ds4_zones_close: { args: ["ptr"], returns: "void" },
  ds4_zones_declare: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_zones_feed: { args: ["ptr", "ptr", "u64", "ptr"], returns: "i32" },
  ds4_zones_closed: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_engine_set_vocabulary: { args: ["ptr", "ptr", "u64", "ptr", "u32"], returns: "i32" },
  ds4_engine_set_waker: { args: ["ptr", "ptr"], returns: "i32" },
  ds4_job_start: {
    args: ["ptr", "ptr", "ptr", "ptr", "u32", "ptr", "ptr", "u32", "ptr"],
    returns: "i32",
  },
  ds4_job_poll: { args: ["ptr", "u64", "ptr", "u32", "ptr"], returns: "i32" },
  ds4_job_take_mark: { args: ["ptr", "u64", "ptr"], returns: "i32" },
  ds4_job_error: { args: ["ptr", "u64", "ptr", "u64"], returns: "u64" },
  ds4_job_cancel: { args: ["ptr", "u64"], returns: "i32" },
  ds4_job_free: { args: ["ptr", "u64"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>

export const SHAPE = struct("ds4_shape", {
  struct_bytes: "u32",
  layers: "u32",
  hidden: "u32",
  vocab: "u32",
  heads: "u32",
  head_dim: "u32",
  rope_dim: "u32",
  q_lora_rank: "u32",
  o_groups: "u32",
  o_lora_rank: "u32",
  experts: "u32",
  experts_per_token: "u32",
  moe_intermediate_size: "u32",
  hash_layers: "u32",
  sliding_window: "u32",
  index_heads: "u32",
  index_head_dim: "u32",
  index_top_k: "u32",
  streams: "u32",
  sinkhorn_iterations: "u32",
  context_tokens: "u32",
  normalise_weights: "u32",
  norm_epsilon: "f32",
  hc_epsilon: "f32",
  rope_theta: "f32",
  compress_rope_theta: "f32",
  yarn_factor: "f32",
  yarn_beta_fast: "f32",
  yarn_beta_slow: "f32",
  yarn_original_tokens: "u32",
  routed_scale: "f32",
  layer_options_bytes: "u32",
  tensor_bytes: "u32",
})
export const LAYER_OPTIONS = struct("ds4_layer_options", {
  compress_ratio: "u32",
  swiglu_limit: "f32",
  shared_swiglu_limit: "f32",
  reserved: "u32",
})
export const TENSOR = struct("ds4_tensor", {
  kind: "u32",
  layer: "i32",
  expert: "i32",
  type: "u32",
  rows: "u64",
  cols: "u64",
  depth: "u64",
  file: "u32",
  scale_file: "u32",
  offset: "u64",
  bytes: "u64",
  scale_offset: "u64",
  scale_bytes: "u64",
  name_offset: "u32",
  reserved: "u32",
})
export const LOAD_PROGRESS = struct("ds4_load_progress", {
  done_bytes: "u64",
  total_bytes: "u64",
  cancel: "u32",
  reserved: "u32",
})
export const ENGINE_OPTIONS = struct("ds4_engine_options", {
  struct_bytes: "u32",
  numerics: "u32",
  switches: "u32",
  isa: "u32",
  threads: "u32",
  max_step_tokens: "u32",
  experts: "u32",
  expert_numerics: "u32",
  expert_threads: "u32",
  expert_parts: "u32",
  expert_layers: "u32",
  session_tokens: "u32",
  expert_library: "ptr",
  progress: "ptr",
  step_item_bytes: "u32",
  job_token_bytes: "u32",
  backend: "u32",
  reserved: "u32",
})
export const SESSION_OPTIONS = struct("ds4_session_options", {
  struct_bytes: "u32",
  context_tokens: "u32",
  mark: "ptr",
})
export const STEP_ITEM = struct("ds4_step_item", {
  session: "ptr",
  token_count: "u32",
  logits: "u32",
})
export const SAMPLING = struct("ds4_sampling", {
  struct_bytes: "u32",
  temperature: "f32",
  top_p: "f32",
  min_p: "f32",
  top_k: "u32",
  reserved: "u32",
  seed: "u64",
})
export const JOB_OPTIONS = struct("ds4_job_options", {
  struct_bytes: "u32",
  tag: "u32",
  max_tokens: "u32",
  top_logprobs: "u32",
  logprobs: "u32",
  tool_zones: "u32",
  stop_token_count: "u32",
  reasoning_budget: "u32",
  think_close_token: "i32",
  reserved: "u32",
  sampling: SAMPLING,
  tool_names: "ptr",
  mark_offsets: "ptr",
  mark_count: "u32",
  mark_interval: "u32",
  mark_end: "u32",
  mark_reserved: "u32",
})
export const JOB_STATE = struct("ds4_job_state", {
  struct_bytes: "u32",
  status: "u32",
  finish: "u32",
  token_count: "u32",
  pending_tokens: "u32",
  prompt_processed: "u32",
  generated: "u32",
  stop_token: "i32",
  stop_string: "u32",
  error: "i32",
  prefill_us: "u64",
  decode_us: "u64",
  pending_marks: "u32",
  reserved: "u32",
})
export const JOB_TOKEN = struct("ds4_job_token", {
  id: "i32",
  logprob: "f32",
  top_count: "u32",
  top_ids: ["i32", 20],
  top_logprobs: ["f32", 20],
})
/** Every struct of the header, in its order. */
export const DS4_STRUCTS = [
  SHAPE,
  LAYER_OPTIONS,
  TENSOR,
  LOAD_PROGRESS,
  ENGINE_OPTIONS,
  SESSION_OPTIONS,
  STEP_ITEM,
  SAMPLING,
  JOB_OPTIONS,
  JOB_STATE,
  JOB_TOKEN,
] as const

// The header's enums by their prefix; a test compares them too.
export const STATUS = {
  OK: 0,
  ARGUMENT: 1,
  FORMAT: 2,
  DEVICE_MEMORY: 3,
  CONTEXT_FULL: 4,
  CANCELLED: 5,
  DEVICE: 6,
  INTERNAL: 7,
  IO: 8,
} as const
export const NUMERICS = { fast: 0, trained: 1, plain: 2 } as const
export const ISA = { auto: 0, generic: 1, avx2: 2, avx512: 3 } as const
export const BACKEND = { auto: 0, cpu: 1, cuda: 2 } as const
export const EXPERTS = { auto: 0, packed: 1, mapped: 2 } as const
export const EXPERT_NUMERICS = { auto: 0, int8: 1, bf16: 2, fp8ref: 3, f32: 4 } as const
export const SWITCHES = {
  noKvRounding: 1,
  noIndexRounding: 2,
  noSharedClamp: 4,
  f32Activations: 8,
  mappedDense: 16,
} as const
export const LOGITS = { NONE: 0, LAST: 1, ALL: 2 } as const
export const JOB = { RUNNING: 1, DONE: 0, CANCELLED: 2, FAILED: 3 } as const
export const FINISH = { NONE: 0, STOP: 1, LENGTH: 2, CONTEXT: 3, STOP_STRING: 4 } as const
export const MAX_TOP_LOGPROBS = 20
