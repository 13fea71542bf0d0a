/* Runs llama.cpp, from the libraries of the npm package @node-llama-cpp/linux-x64 3.22.1, on a GGUF
 * file: an independent judge of logits. The declarations below repeat only what this program calls;
 * they belong to that one version, which the package pins.
 *
 * usage: llama-oracle LIBRARY_DIR MODEL.gguf IDS OUT.f32 THREADS CONTEXT GREEDY
 *   IDS     comma-separated token ids; logits of every position go to OUT.f32, [positions, vocab]
 * little-endian f32 GREEDY  so many tokens are decoded greedily after them and printed as "greedy:
 * id id ..."
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct llama_model llama_model;
typedef struct llama_context llama_context;
typedef struct llama_vocab llama_vocab;

struct model_params {
    void *devices;
    const void *buffer_overrides;
    int32_t gpu_layers, split_mode, load_mode, lazy_mode, main_gpu;
    const float *tensor_split;
    void *progress, *progress_data;
    const void *overrides;
    bool vocab_only, check_tensors, extra_buffers, no_host, no_alloc, load_mtp;
};
struct context_params {
    uint32_t context, batch, ubatch, sequences, snapshots, outputs, outputs_per_sequence;
    int32_t threads, batch_threads;
    int32_t type, rope_scaling, pooling, attention, flash_attention;
    float rope_base, rope_scale, yarn_ext, yarn_attention, yarn_fast, yarn_slow;
    uint32_t yarn_original;
    float defragment;
    void *eval, *eval_data;
    int32_t type_k, type_v;
    void *abort, *abort_data;
    bool embeddings, offload_kqv, no_perf, op_offload, swa_full, kv_unified;
    void *samplers;
    size_t sampler_count;
    void *other;
};
struct batch {
    int32_t count;
    int32_t *token;
    float *embedding;
    int32_t *position, *sequence_count;
    int32_t **sequence;
    int8_t *logits;
};

static void *library;
static void *symbol(const char *name) {
    void *found = dlsym(library, name);
    if (found == NULL) {
        fprintf(stderr, "no %s in the llama.cpp library\n", name);
        exit(3);
    }
    return found;
}
static void quiet(int level, const char *text, void *data) {
    (void)data;
    if (level >= 4) fputs(text, stderr); /* errors */
}

int main(int argc, char **argv) {
    if (argc != 8) return 2;
    char path[4096];
    const char *folder = argv[1];
    const char *parts[] = {"libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"};
    void *loaded[3];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
        loaded[i] = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        if (loaded[i] == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 3;
        }
    }
    library = loaded[1];
    void (*load_backends)(const char *) = symbol("ggml_backend_load_all_from_path");
    library = loaded[2];
    void (*set_log)(void (*)(int, const char *, void *), void *) = symbol("llama_log_set");
    struct model_params (*default_model)(void) = symbol("llama_model_default_params");
    struct context_params (*default_context)(void) = symbol("llama_context_default_params");
    llama_model *(*load)(const char *, struct model_params) = symbol("llama_model_load_from_file");
    llama_context *(*open_context)(llama_model *, struct context_params) =
        symbol("llama_init_from_model");
    const llama_vocab *(*get_vocab)(const llama_model *) = symbol("llama_model_get_vocab");
    int32_t (*vocab_size)(const llama_vocab *) = symbol("llama_vocab_n_tokens");
    int32_t (*decode)(llama_context *, struct batch) = symbol("llama_decode");
    float *(*logits_at)(llama_context *, int32_t) = symbol("llama_get_logits_ith");

    set_log(quiet, NULL);
    load_backends(folder);
    struct model_params model_params = default_model();
    model_params.gpu_layers = 0;
    model_params.extra_buffers = false; /* weights as stored, no repacking */
    llama_model *model = load(argv[2], model_params);
    if (model == NULL) return 1;

    static int32_t ids[1 << 16];
    int32_t count = 0;
    for (char *cursor = argv[3]; *cursor != '\0' && count < 1 << 16;) {
        ids[count++] = (int32_t)strtol(cursor, &cursor, 10);
        if (*cursor == ',') cursor++;
    }
    struct context_params context_params = default_context();
    context_params.context = (uint32_t)atoi(argv[6]);
    context_params.batch = context_params.ubatch = 512;
    context_params.threads = context_params.batch_threads = atoi(argv[5]);
    context_params.flash_attention = 0;
    context_params.type_k = context_params.type_v =
        0; /* F32 where the architecture lets us choose */
    llama_context *context = open_context(model, context_params);
    if (context == NULL) return 1;

    const int32_t vocab = vocab_size(get_vocab(model));
    static int32_t position[512], one[512], zero;
    static int32_t *sequence[512];
    static int8_t wanted[512];
    FILE *out = fopen(argv[4], "wb");
    if (out == NULL) return 1;
    for (int i = 0; i < 512; i++) one[i] = 1, sequence[i] = &zero, wanted[i] = 1;
    for (int32_t begin = 0; begin < count; begin += 512) {
        const int32_t size = count - begin < 512 ? count - begin : 512;
        for (int32_t i = 0; i < size; i++) position[i] = begin + i;
        if (decode(context,
                   (struct batch){size, ids + begin, NULL, position, one, sequence, wanted}) != 0)
            return 1;
        for (int32_t i = 0; i < size; i++)
            fwrite(logits_at(context, i), sizeof(float), (size_t)vocab, out);
    }
    fclose(out);
    const float *logits = logits_at(context, -1);
    printf("vocab: %d\ngreedy:", vocab);
    for (int i = 0; i < atoi(argv[7]); i++) {
        int32_t best = 0;
        for (int32_t id = 1; id < vocab; id++)
            if (logits[id] > logits[best]) best = id;
        printf(" %d", best);
        position[0] = count + i;
        if (decode(context, (struct batch){1, &best, NULL, position, one, sequence, wanted}) != 0)
            return 1;
        logits = logits_at(context, -1);
    }
    printf("\n");
    return 0;
}
