/* kt_bridge.h -- routed experts of a mixture-of-experts model on the CPU. Pure C99, no other header
 * of ours.
 *
 * Part 1 keeps the names and signatures of the bridge of KTransformers' kt-kernel (second
 * revision). Parts 2 and 3 are our additive extension. ktb_abi_version gives its revision: part 2
 * came with 2.4, part 3 with 2.5. A library without that function is kt-kernel's.
 *
 * Handles are opaque. destroy and close accept NULL, and everything else reports NULL as an error.
 * No exception, exit or abort leaves the library, and nothing is printed. fork() is not supported
 * while an engine exists.
 *
 * E = num_experts, k = num_experts_per_tok, H = hidden_size, I = intermediate_size. A token x and
 * its routes give
 *    g = W1 x, u = W3 x; with a limit > 0: g = min(g, limit), u = clamp(u, -limit, limit)
 *    y = sum over routes of weight * W2 (g * sigmoid(g) * u)
 * A route is skipped when its id is outside [0, E) or its weight is 0. A repeated id counts each
 * time. */
#ifndef KT_BRIDGE_H
#define KT_BRIDGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KTB_API __attribute__((visibility("default")))
#else
#define KTB_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- part 1: the functions of kt-kernel's bridge -------------------------------------------- */

typedef struct ktb_engine *ktb_engine_t;         /* worker threads of all parts          */
typedef struct ktb_safetensor *ktb_safetensor_t; /* an open folder of *.safetensors      */
typedef struct ktb_moe *ktb_moe_t;               /* the routed experts of one layer      */

/* Ways of holding and computing weights. Numbers are fixed; those from 16 on are ours.
 * ktb_moe_create refuses KTB_RAWINT4, KTB_GPTQ_INT4, KTB_AMXINT4 and KTB_AMXINT8, which are other
 * encodings of other files. The canonical form of a matrix [rows, cols] is row-major:
 *    KTB_MXFP4           codes [rows, cols/2], value 2j low and 2j+1 high in byte j;
 *                        scales E8M0 [rows, cols/32]
 *    KTB_FP8             E4M3 [rows, cols]; scales [rows/128 rounded up, cols/128]
 *    KTB_FP8_PERCHANNEL  E4M3 [rows, cols]; scales [rows]
 *    KTB_BF16            bf16 [rows, cols]; no scales
 *    the others          rows of GGUF blocks; no scales apart */
typedef enum ktb_method_t {
    KTB_MXFP4 = 0,
    KTB_FP8 = 1,
    KTB_BF16 = 2,
    KTB_FP8_PERCHANNEL = 3,
    KTB_RAWINT4 = 4,
    KTB_GPTQ_INT4 = 5,
    KTB_AMXINT4 = 6,
    KTB_AMXINT8 = 7,
    KTB_Q8_0 = 16,
    KTB_Q2_K = 17,
    KTB_Q4_K = 18,
    KTB_IQ2_XXS = 19
} ktb_method_t;

typedef enum ktb_io_type_t { KTB_IO_BF16 = 0, KTB_IO_F32 = 1 } ktb_io_type_t;

/* n_threads workers in all, on n_numa_nodes parts. There is one part per NUMA node; on fewer nodes
 * the parts share them on disjoint cores. Threads are divided evenly, and the first parts get the
 * remainder. There are never more workers than usable cores, except that each part has one. NULL
 * when either number is <= 0 or a part would have no thread. Thread: any. */
KTB_API ktb_engine_t ktb_engine_create(int n_threads, int n_numa_nodes);
/* Waits for running work and joins the workers. Refused and recorded while the engine has live
 * layers. */
KTB_API void ktb_engine_destroy(ktb_engine_t engine);

/* Reads the headers of all *.safetensors of a folder. NULL when there is none, when one is
 * malformed or truncated, or when two tensors share a name. Thread: any. */
KTB_API ktb_safetensor_t ktb_safetensor_open(const char *dir);
/* A load that is reading the folder goes on, and ends as it would have. */
KTB_API void ktb_safetensor_close(ktb_safetensor_t tensors);
/* Bytes of one tensor; valid until close. false leaves both outputs untouched. Where its file has
 * become shorter since, bytes read as zeros, and loading from them is KTB_ERR_IO. Thread: any. */
KTB_API bool ktb_safetensor_get(ktb_safetensor_t tensors, const char *name, void **out_ptr,
                                size_t *out_bytes);

/* Makes a layer without weights. H and I are multiples of 128, of 256 for KTB_Q2_K, KTB_Q4_K and
 * KTB_IQ2_XXS; 1 <= k <= 16; E <= 1024. group_size is 0 or the method's, 32 for KTB_MXFP4 and 128
 * for KTB_FP8. It has no meaning for the others. */
KTB_API ktb_moe_t ktb_moe_create(ktb_engine_t engine, int layer_idx, int num_experts,
                                 int num_experts_per_tok, int hidden_size, int intermediate_size,
                                 ktb_io_type_t io_type, ktb_method_t method, int group_size,
                                 float swiglu_limit);
/* Frees the weights. Refused and recorded while work of this layer is queued or running. */
KTB_API void ktb_moe_destroy(ktb_moe_t moe);

/* Takes E pointers each to canonical codes and scales: gate and up [I, H], down [H, I]. Scales are
 * bf16 powers of two for KTB_MXFP4, and f32 for the FP8 methods. The other methods do not read the
 * scale arrays, which may be NULL. map[i] is the source index of expert i; NULL is the identity.
 * Sources may be freed afterwards.
 * Returns 0 or a negative KTB_ERR_*. Wrong arguments, names or shapes leave the layer as it was. A
 * later error (memory, reading, a NaN scale) leaves it without weights. */
KTB_API int ktb_moe_load_weights_ptrs(ktb_moe_t moe, int group_size, const void *const *gate_weight,
                                      const void *const *gate_scale, const void *const *up_weight,
                                      const void *const *up_scale, const void *const *down_weight,
                                      const void *const *down_scale,
                                      const int64_t *physical_to_logical_map);
/* Loads the same from {model.,}layers.{layer_idx}.ffn.experts.{e}.w{1,3,2}.{weight,scale}. Dtypes:
 *    KTB_MXFP4         I8 or U8 with scales F8_E8M0, U8 or BF16
 *    the FP8 methods   F8_E4M3 with scales F8_E8M0, U8, BF16 or F32
 *    KTB_BF16          BF16
 * Layers of GGUF types have no such files and are refused. */
KTB_API int ktb_moe_load_weights_safetensors(ktb_moe_t moe, ktb_safetensor_t tensors, int layer_idx,
                                             const int64_t *physical_to_logical_map);

/* input, output: [n_tokens, H] bf16, not overlapping; expert_ids, weights: [n_tokens, k].
 * incremental adds to the output in f32. Blocking; calls of one engine run in arrival order. On
 * failure the output is filled with NaN.
 * A token's bits depend on the instruction set and numerics alone, not on threads, parts or the
 * other tokens. The channels of a route are summed in chunks of 128 by a fixed tree, and routes in
 * ascending order of the expert. Only experts on the tile unit differ, by rounding. That happens
 * with "isa" amx, from "tile_tokens" tokens of a pass on, and with "isa" fastest. */
KTB_API void ktb_moe_forward(ktb_moe_t moe, int n_tokens, const void *input, void *output,
                             const int64_t *expert_ids, const float *weights, bool incremental,
                             float swiglu_limit);
/* The same with f32 input and output and 32-bit ids. */
KTB_API void ktb_moe_forward_f32(ktb_moe_t moe, int n_tokens, const void *input_f32,
                                 void *output_f32, const int32_t *expert_ids_i32,
                                 const float *weights, bool incremental, float swiglu_limit);

/* Round to nearest even; NaN stays a quiet NaN. Any alignment; no overlap. */
KTB_API void ktb_convert_f32_to_bf16(const float *source, void *target, size_t count);
KTB_API void ktb_convert_bf16_to_f32(const void *source, float *target, size_t count);

/* ---- part 2: extension ---------------------------------------------------------------------- */

#define KTB_ABI_VERSION 0x00020005u /* major << 16 | minor */

/* Returned by every function of parts 2 and 3 that returns int, unless it says otherwise. */
enum {
    KTB_OK = 0,
    KTB_ERR_ARGUMENT = -1,
    KTB_ERR_FORMAT = -2,
    KTB_ERR_MEMORY = -3,
    KTB_ERR_STATE = -4,
    KTB_ERR_IO = -5,
    KTB_ERR_INTERNAL = -6
};

/* flags of ktb_moe_forward2 and ktb_moe_submit */
enum {
    KTB_FORWARD_INCREMENTAL = 1, /* add to the output */
    KTB_FORWARD_STRICT_IDS =
        2 /* an id other than -1 outside [0, E) is KTB_ERR_ARGUMENT and nothing is written */
};

/* Thread: any. */
KTB_API uint32_t ktb_abi_version(void);
/* UTF-8 text of the last failure on this thread, "" if none; valid until this thread's next ktb_
 * call. */
KTB_API const char *ktb_last_error(void);
/* 0 ready, 1 no weights, 2 loading, negative: the code of the load that failed. Thread: any. */
KTB_API int ktb_status(ktb_moe_t moe);

/* Options are a JSON object, in which every key is optional and unknown keys are errors:
 *    "threads"       workers; default: usable cores but one
 *    "parts"         default: one per NUMA node
 *    "nodes"         list: NUMA node of each part, instead of "parts"
 *    "cores"         list of lists: cores of each part
 *    "external"      see ktb_engine_work; excludes the four above
 *    "numerics"      "int8" | "bf16" | "fp8ref" | "f32"
 *    "isa"           "auto" (the best but amx) | "fastest" (measured, amx included) | "generic" |
 *                    "avx2" | "avx512" | "amx"
 *    "calibrate"     default true
 *    "huge"          huge pages: "auto" | "2m" | "1g" | "off"
 *    "max_tokens"    tokens per internal pass, default 8192
 *    "fused_tokens"  0..16: tokens of the busiest expert up to which a pass runs in the form for
 *                    few tokens; default: measured
 *    "tile_tokens"   with amx: tokens of an expert in a pass from which it goes to the tile unit,
 *                    default 16, 0 never
 *    "spin_us"       busy wait of workers after work
 * f32 rounds nothing but sums. With int8, KTB_BF16 and the FP8 methods take bf16 activations,
 * because they have no int8 form.
 * With "calibrate", the first load of a kind of layer in a process ends with some 50 ms of trials
 * on its weights. Its kind is its methods, numerics, sizes and workers. Kernels that fail their
 * check against plain ones are not used. All that is chosen among gives the same bits, except with
 * "isa" "fastest". That may take another instruction set for all calls. It may also take the tile
 * unit from 16 or 64 tokens of an expert on, where it is faster by a quarter or more. */
KTB_API ktb_engine_t ktb_engine_create_json(const char *options);
/* Writes a JSON object. It has the instruction set, the numerics and their meaning for the methods
 * of the layers, and parts with their nodes and cores. It has memory and page kinds obtained, the
 * measurements and choices for the layers ("calibration"), and times of the last forward in
 * microseconds. Returns the length without the final 0, or a negative KTB_ERR_*. A longer text is
 * cut to capacity. Thread: any. */
KTB_API int ktb_engine_describe(ktb_engine_t engine, char *buffer, size_t capacity);

/* in, out: [n_tokens, H] of in_type, out_type (KTB_IO_*); ids, weights: [n_tokens, k]. On error
 * nothing is written. */
KTB_API int ktb_moe_forward2(ktb_moe_t moe, int n_tokens, const void *in, int in_type, void *out,
                             int out_type, const int32_t *ids, const float *weights, uint32_t flags,
                             float limit);
/* Queues the work and returns; the buffers must stay valid until the ticket is done. */
KTB_API int ktb_moe_submit(ktb_moe_t moe, int n_tokens, const void *in, int in_type, void *out,
                           int out_type, const int32_t *ids, const float *weights, uint32_t flags,
                           float limit, uint64_t *ticket);
/* Returns 0 when done, 1 for a timeout, or the negative KTB_ERR_* of the work. timeout_ms < 0 waits
 * without limit, 0 polls. Thread: any. */
KTB_API int ktb_engine_wait(ktb_engine_t engine, uint64_t ticket, int timeout_ms);
/* For an engine made with "external": N, which has no threads. Queued work runs while N threads of
 * the caller are in this function with the same ticket, each as another worker 0..N-1. It returns
 * in all of them when the ticket is done, with 0 or its negative KTB_ERR_*. Blocking calls of such
 * an engine (loads, forwards) start threads for their own time, and are not for the hot path.
 * KTB_ERR_STATE for a second thread with the number of one that is in here. KTB_ERR_STATE also for
 * a blocking call while others are in here, or the other way round. */
KTB_API int ktb_engine_work(ktb_engine_t engine, int worker, uint64_t ticket);

/* Storage of a ktb_matrix: ggml's type number where ggml has the format. */
enum {
    KTB_FORMAT_Q8_0 = 8, /* GGUF rows of the type, scales in the blocks */
    KTB_FORMAT_Q2_K = 10,
    KTB_FORMAT_Q4_K = 12,
    KTB_FORMAT_IQ2_XXS = 16,
    KTB_FORMAT_BF16 = 30,
    KTB_FORMAT_MXFP4 = 39, /* KTB_MXFP4 in 17-byte GGUF blocks: a scale, then value j low and j+16
                              high in byte j */
    KTB_FORMAT_FP8 = 1000, /* KTB_FP8, scales E8M0 */
    KTB_FORMAT_FP4 = 1001, /* KTB_MXFP4 in canonical form, scales E8M0 */
    KTB_FORMAT_FP8_F32 = 1003, /* KTB_FP8, scales f32 */
    KTB_FORMAT_FP8_ROWS = 1004 /* KTB_FP8_PERCHANNEL, scales f32 */
};

/* One matrix where it lies; any alignment. */
typedef struct ktb_matrix {
    const void *data;
    const void *scales;   /* NULL for a format without scales apart */
    uint64_t data_bytes;  /* exactly those of the shape */
    uint64_t scale_bytes; /* the same; 0 without scales */
    uint32_t
        format; /* KTB_FORMAT_*, of the layer's method and the same for all experts of an array */
    uint32_t reserved; /* 0 */
} ktb_matrix;

/* ktb_moe_create with another method for down, because GGUF files mix them. H follows method, and I
 * follows down_method. */
KTB_API ktb_moe_t ktb_moe_create_mixed(ktb_engine_t engine, int layer_idx, int num_experts,
                                       int num_experts_per_tok, int hidden_size,
                                       int intermediate_size, ktb_io_type_t io_type,
                                       ktb_method_t method, ktb_method_t down_method,
                                       float swiglu_limit);
/* Loads from memory such as a mapped file. There are E matrices each, gate and up [I, H] and down
 * [H, I], in the order of the experts. Every format and size is checked before a byte is read.
 * Blocks until the weights are packed; the memory may be unmapped afterwards. Errors as for
 * ktb_moe_load_weights_ptrs. */
KTB_API int ktb_moe_load_matrices(ktb_moe_t moe, const ktb_matrix *gate, const ktb_matrix *up,
                                  const ktb_matrix *down);
/* Loads n layers of one folder, ms[i] from layer_idx[i], and checks memory for all of them first.
 * max_parallel 1 finishes a layer before the next begins; other values let them follow without a
 * pause. Errors as above, for all layers of the call alike. */
KTB_API int ktb_load_layers(ktb_engine_t engine, ktb_safetensor_t tensors, int n,
                            const ktb_moe_t *ms, const int *layer_idx, int max_parallel);
/* Weight bytes of the current or last load of this engine. Thread: any. */
KTB_API int ktb_load_progress(ktb_engine_t engine, uint64_t *done_bytes, uint64_t *total_bytes);
/* Writes canonical bytes of one matrix (which: 1 = w1, 2 = w2, 3 = w3). Codes go to w, and scales
 * go to s in the format that they were loaded from (E8M0 for KTB_MXFP4). Methods without scales
 * apart write nothing to s, which may be NULL. */
KTB_API int ktb_moe_export_expert(ktb_moe_t moe, int expert, int which, void *w, size_t wcap,
                                  void *s, size_t scap);
/* Runs a small layer through every instruction set of this CPU against a scalar implementation. 0 =
 * pass. */
KTB_API int ktb_selftest(ktb_engine_t engine);

/* ---- part 3: slots and shared weights ------------------------------------------------------- */

/* Chooses the experts of a layer without weights and work: n different ones of its E, expert
 * experts[i] in slot i. n = E with NULL chooses all again, as at first. Every later load has memory
 * for these alone, and reads and packs them. It looks at nothing of the others: their pointers and
 * matrices may be NULL or zero, their tensors missing. A load after moves reads again those chosen
 * here.
 * A route with a weight other than 0 needs a slot of its expert when the forward's turn comes. Else
 * it is KTB_ERR_ARGUMENT, and nothing is written; the forwards of part 1 write NaN as on any
 * failure. Routes to experts with a slot give the bits of the whole layer. On the tile unit that
 * holds unless the scales of a missing expert keep the whole layer from using it.
 * KTB_ERR_ARGUMENT: n is outside 1..E, or an id is outside [0, E) or comes twice. KTB_ERR_STATE:
 * the layer has weights or work. */
KTB_API int ktb_moe_keep_experts(ktb_moe_t moe, int n, const int32_t *experts);
/* slot_of_expert: [E], the slot of each expert or -1; may be NULL. A layer without weights shows
 * the slots that a load will fill. Returns the number of slots. Thread: any. */
KTB_API int ktb_moe_slots(ktb_moe_t moe, int32_t *slot_of_expert);
/* Gives the slot of expert `leaving` to `entering`, which may be the same. Forwards queued before
 * use the old expert, those queued after the new one. Export the old one first if its bytes are
 * needed. The matrices are one expert's, as for ktb_moe_load_matrices, and must stay as they are
 * until the ticket is done. ticket NULL blocks. All workers share the work; beside the slot each
 * has memory for a few rows.
 * A move that is refused leaves the layer as it was, because everything is checked before the slot
 * is written. Bytes that change after that check cost the layer its weights.
 *    at once                  KTB_ERR_ARGUMENT for ids and NULL
 *                             KTB_ERR_FORMAT for formats and sizes
 *    when its turn comes      KTB_ERR_ARGUMENT when `leaving` has no slot or `entering` another one
 *                             KTB_ERR_FORMAT for a value or scale that is no number
 *                             KTB_ERR_STATE without weights or with shared ones, KTB_ERR_MEMORY
 * Exports of an expert that has no slot, or whose slot is being written, are KTB_ERR_STATE. */
KTB_API int ktb_moe_move_expert(ktb_moe_t moe, int leaving, int entering, const ktb_matrix *gate,
                                const ktb_matrix *up, const ktb_matrix *down, uint64_t *ticket);
/* Makes another layer over the packed weights of a loaded one, without a copy. It may be on another
 * engine of the process, which may have other numerics, instruction sets and threads. All handles
 * are equal: either may be destroyed first, and the memory goes with the last. A load replaces the
 * weights of its own handle only. Index, shape, io_type and limit are the source's. While weights
 * are shared they do not change, and moves are KTB_ERR_STATE. "calibrate" works as for a load.
 * Memory stays on the nodes of the engine that loaded it.
 * *made is the new layer, or NULL on errors. KTB_ERR_ARGUMENT: the engines do not split the width
 * over their parts alike, or this one's numerics cannot mix the methods. Engines with as many
 * parts, whose workers are in the same proportions, split alike. KTB_ERR_STATE: the source has no
 * weights, or one of its experts is being moved. Thread: any. */
KTB_API int ktb_moe_create_shared(ktb_engine_t engine, ktb_moe_t source, ktb_moe_t *made);
/* Gives the place of the packed bytes of one expert in one part (0.. as "parts" of
 * ktb_engine_describe). They are 64-byte aligned and for reading only, for instance to copy them to
 * a GPU. The place is valid until the weights are loaded again or the expert is moved; that of
 * shared weights until their last handle goes. NULL and 0 bytes in a part that has no share of the
 * width. Thread: any.
 *
 * Layout (docs/formats/packed-experts.md draws it).
 *    C   channels of a slice: 32 for KTB_MXFP4 as method of down, 256 for KTB_Q2_K, KTB_Q4_K and
 *        KTB_IQ2_XXS, else 128
 *    U   inputs of a gate/up tile: 32 for KTB_MXFP4, else H
 * The I channels go to the parts in order, in units of max(C, 128). The bytes of a part are the
 * records of its slices in order of the channels, one record a slice:
 *    C/32 panels: H/U tiles, in order of the inputs, of 64 rows x U inputs: 32 gate rows, then the
 *        32 up rows of the same channels
 *    H/64 tiles of 64 down rows x the slice's C channels
 * A tile of KTB_MXFP4 is 64 rows x 32 inputs in 1088 bytes. It has 16 vectors of 16 dwords, then
 * 64 scale bytes E8M0, one a row. Dword r of vector 4b + v is bytes 4v..4v+3 of the canonical 16
 * bytes of row 16b + r (b, v = 0..3).
 * A tile of any other method is the canonical bytes of its 64 row pieces, one row after the other,
 * and then
 *    KTB_FP8              f32 scales, one per 128 inputs, of rows 0..31, then those of rows 32..63,
 *                         padded to 64 bytes
 *    KTB_FP8_PERCHANNEL   64 f32 scales, one a row
 */
KTB_API int ktb_moe_packed(ktb_moe_t moe, int part, int expert, const void **address,
                           size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
