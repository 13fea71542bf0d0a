/* A program of KTransformers' kt-kernel. The declarations below are its whole interface, second
 * revision, and nothing of this repository's header.
 *
 * usage: kt-kernel-caller FOLDER LAYER OUT
 *
 * It loads a layer of 8 experts, 2 a token, 256 x 256, from the folder and again from pointers.
 * It writes four results of 3 tokens to OUT, each [3, 256] f32. These are the f32 forward, the same
 * added to ones, the forward of the layer from pointers, and the bf16 forward, widened. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *ktb_engine_t;
typedef void *ktb_safetensor_t;
typedef void *ktb_moe_t;
typedef enum {
    KTB_MXFP4 = 0,
    KTB_FP8 = 1,
    KTB_BF16 = 2,
    KTB_FP8_PERCHANNEL = 3,
    KTB_RAWINT4 = 4,
    KTB_GPTQ_INT4 = 5,
    KTB_AMXINT4 = 6,
    KTB_AMXINT8 = 7
} ktb_method_t;
typedef enum { KTB_IO_BF16 = 0, KTB_IO_F32 = 1 } ktb_io_type_t;

ktb_engine_t ktb_engine_create(int threads, int nodes);
void ktb_engine_destroy(ktb_engine_t);
ktb_safetensor_t ktb_safetensor_open(const char *folder);
void ktb_safetensor_close(ktb_safetensor_t);
bool ktb_safetensor_get(ktb_safetensor_t, const char *name, void **data, size_t *bytes);
ktb_moe_t ktb_moe_create(ktb_engine_t, int layer, int experts, int used, int hidden, int inner,
                         ktb_io_type_t, ktb_method_t, int group, float limit);
void ktb_moe_destroy(ktb_moe_t);
int ktb_moe_load_weights_ptrs(ktb_moe_t, int group, const void *const *gate,
                              const void *const *gate_scale, const void *const *up,
                              const void *const *up_scale, const void *const *down,
                              const void *const *down_scale, const int64_t *map);
int ktb_moe_load_weights_safetensors(ktb_moe_t, ktb_safetensor_t, int layer, const int64_t *map);
void ktb_moe_forward(ktb_moe_t, int tokens, const void *input, void *output, const int64_t *ids,
                     const float *weights, bool incremental, float limit);
void ktb_moe_forward_f32(ktb_moe_t, int tokens, const void *input, void *output, const int32_t *ids,
                         const float *weights, bool incremental, float limit);
void ktb_convert_f32_to_bf16(const float *source, void *target, size_t count);
void ktb_convert_bf16_to_f32(const void *source, float *target, size_t count);

enum {
    EXPERTS = 8,
    USED = 2,
    WIDTH = 256,
    TOKENS = 3,
    VALUES = TOKENS * WIDTH,
    CODES = WIDTH * WIDTH / 2,
    SCALES = WIDTH * WIDTH / 32
};

static void expect(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "kt-kernel-caller: %s failed\n", what);
    exit(1);
}

/* Codes where the file has them, scales widened to bf16, as callers of kt-kernel's bridge do. */
static int load_from_pointers(ktb_moe_t moe, ktb_safetensor_t tensors, int layer) {
    static const char *const names[3] = {"w1", "w3", "w2"};
    static uint16_t wide[3][EXPERTS][SCALES];
    const void *codes[3][EXPERTS], *scales[3][EXPERTS];
    for (int matrix = 0; matrix < 3; matrix++)
        for (int expert = 0; expert < EXPERTS; expert++) {
            char name[128];
            void *data = NULL;
            size_t bytes = 0;
            snprintf(name, sizeof name, "layers.%d.ffn.experts.%d.%s.weight", layer, expert,
                     names[matrix]);
            expect(ktb_safetensor_get(tensors, name, &data, &bytes) && bytes == CODES, name);
            codes[matrix][expert] = data;
            snprintf(name, sizeof name, "layers.%d.ffn.experts.%d.%s.scale", layer, expert,
                     names[matrix]);
            expect(ktb_safetensor_get(tensors, name, &data, &bytes) && bytes == SCALES, name);
            for (int i = 0; i < SCALES; i++)
                wide[matrix][expert][i] = (uint16_t)(((const uint8_t *)data)[i] << 7);
            scales[matrix][expert] = wide[matrix][expert];
        }
    return ktb_moe_load_weights_ptrs(moe, 32, codes[0], scales[0], codes[1], scales[1], codes[2],
                                     scales[2], NULL);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    const int layer = atoi(argv[2]);
    const int32_t ids[TOKENS * USED] = {0, 5, 3, 3, 7, -1};
    int64_t wide_ids[TOKENS * USED];
    const float weights[TOKENS * USED] = {0.7f, 0.8f, 0.5f, 1, 1.5f, 0};
    float input[VALUES], outputs[4][VALUES];
    uint16_t narrow_input[VALUES], narrow_output[VALUES];
    for (int i = 0; i < TOKENS * USED; i++) wide_ids[i] = ids[i];
    for (int i = 0; i < VALUES; i++)
        input[i] = (float)(i % 17 - 8) / 8, outputs[1][i] = 1; /* exact in bf16 */

    ktb_engine_t engine = ktb_engine_create(2, 1);
    ktb_safetensor_t tensors = ktb_safetensor_open(argv[1]);
    expect(engine != NULL && tensors != NULL, "opening");
    ktb_moe_t file =
        ktb_moe_create(engine, layer, EXPERTS, USED, WIDTH, WIDTH, KTB_IO_F32, KTB_MXFP4, 32, 10);
    ktb_moe_t memory =
        ktb_moe_create(engine, layer, EXPERTS, USED, WIDTH, WIDTH, KTB_IO_BF16, KTB_MXFP4, 32, 10);
    expect(file != NULL && memory != NULL, "ktb_moe_create");
    expect(ktb_moe_load_weights_safetensors(file, tensors, layer, NULL) == 0,
           "ktb_moe_load_weights_safetensors");
    expect(load_from_pointers(memory, tensors, layer) == 0, "ktb_moe_load_weights_ptrs");
    expect(ktb_moe_load_weights_safetensors(file, tensors, 99, NULL) != 0,
           "refusing a layer that is not there");
    ktb_safetensor_close(tensors);

    ktb_moe_forward_f32(file, TOKENS, input, outputs[0], ids, weights, false, 10);
    ktb_moe_forward_f32(file, TOKENS, input, outputs[1], ids, weights, true, 10);
    ktb_moe_forward_f32(memory, TOKENS, input, outputs[2], ids, weights, false, 10);
    ktb_convert_f32_to_bf16(input, narrow_input, VALUES);
    ktb_moe_forward(memory, TOKENS, narrow_input, narrow_output, wide_ids, weights, false, 10);
    ktb_convert_bf16_to_f32(narrow_output, outputs[3], VALUES);

    ktb_moe_destroy(file);
    ktb_moe_destroy(memory);
    ktb_engine_destroy(engine);
    ktb_engine_destroy(NULL), ktb_moe_destroy(NULL), ktb_safetensor_close(NULL);
    FILE *out = fopen(argv[3], "wb");
    expect(out != NULL && fwrite(outputs, sizeof outputs, 1, out) == 1 && fclose(out) == 0,
           "writing");
    return 0;
}
