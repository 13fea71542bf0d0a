// A library with kt-kernel's functions and no extension: a shim that passes every call on to
// ours.
import { join } from "node:path"
import { KT_BRIDGE_HEADER_PATH, KT_BRIDGE_LIBRARY_PATH } from "@ds4/native"
import { EXTENSION_SYMBOLS, OLDEST_ABI_VERSION } from "../symbols.ts"

const SHIM = `
#include "kt_bridge.h"
#include <dlfcn.h>
static void *real(const char *name) {
    static void *library;
    if (!library) library = dlopen(REAL, RTLD_NOW);
    return dlsym(library, name);
}
#define PASS(result, name, types, names) \\
    KTB_API result name types { return ((result(*) types)real(#name)) names; }
PASS(ktb_engine_t, ktb_engine_create, (int a, int b), (a, b))
PASS(void, ktb_engine_destroy, (ktb_engine_t a), (a))
PASS(ktb_safetensor_t, ktb_safetensor_open, (const char *a), (a))
PASS(void, ktb_safetensor_close, (ktb_safetensor_t a), (a))
PASS(bool, ktb_safetensor_get, (ktb_safetensor_t a, const char *b, void **c, size_t *d),
     (a, b, c, d))
PASS(ktb_moe_t, ktb_moe_create,
     (ktb_engine_t a, int b, int c, int d, int e, int f, ktb_io_type_t g, ktb_method_t h, int i,
      float j),
     (a, b, c, d, e, f, g, h, i, j))
PASS(void, ktb_moe_destroy, (ktb_moe_t a), (a))
PASS(int, ktb_moe_load_weights_ptrs,
     (ktb_moe_t a, int b, const void *const *c, const void *const *d, const void *const *e,
      const void *const *f, const void *const *g, const void *const *h, const int64_t *i),
     (a, b, c, d, e, f, g, h, i))
PASS(int, ktb_moe_load_weights_safetensors,
     (ktb_moe_t a, ktb_safetensor_t b, int c, const int64_t *d), (a, b, c, d))
PASS(void, ktb_moe_forward,
     (ktb_moe_t a, int b, const void *c, void *d, const int64_t *e, const float *f, bool g,
      float h),
     (a, b, c, d, e, f, g, h))
PASS(void, ktb_convert_f32_to_bf16, (const float *a, void *b, size_t c), (a, b, c))
PASS(void, ktb_convert_bf16_to_f32, (const void *a, float *b, size_t c), (a, b, c))
#ifndef WITHOUT_F32
PASS(void, ktb_moe_forward_f32,
     (ktb_moe_t a, int b, const void *c, void *d, const int32_t *e, const float *f, bool g,
      float h),
     (a, b, c, d, e, f, g, h))
#endif
#ifdef VERSION
KTB_API uint32_t ktb_abi_version(void) { return VERSION; }
#endif
`

/**
 * Further functions of the real library, passed on as they are: a jump through a pointer found when
 * the shim is loaded.
 */
const passedOn = (names: readonly string[]): string =>
  names
    .map(
      (name) => `
__attribute__((used, visibility("hidden"))) void *to_${name};
__attribute__((constructor)) static void find_${name}(void) { to_${name} = real("${name}"); }
__asm__(".pushsection .text\\n.globl ${name}\\n.type ${name}, @function\\n"
        "${name}: jmp *to_${name}(%rip)\\n.popsection\\n");
`,
    )
    .join("")

/** The functions of part 2 of the header but the version, which is a flag. */
export const EXTENSION_NAMES: readonly string[] = Object.keys(EXTENSION_SYMBOLS).filter(
  (name) => name !== "ktb_abi_version",
)

/** A library of the revision before slots: part 2 and no part 3. */
export const buildOldestShim = (folder: string, name: string): string =>
  buildKtKernelShim(folder, name, [`-DVERSION=${OLDEST_ABI_VERSION}`], EXTENSION_NAMES)

export const canBuildShim = (): boolean => Bun.which("cc") !== null

/**
 * Compiles the shim into `folder` and returns its path.
 * @param flags -DWITHOUT_F32 leaves out ktb_moe_forward_f32, -DVERSION=N adds ktb_abi_version
 * @param extension names of functions of ours that it has besides
 */
export function buildKtKernelShim(
  folder: string,
  name: string,
  flags: readonly string[],
  extension: readonly string[] = [],
): string {
  const path = join(folder, `${name}.so`)
  const command = [
    "cc",
    "-shared",
    "-fPIC",
    "-x",
    "c",
    "-",
    "-o",
    path,
    "-I",
    join(KT_BRIDGE_HEADER_PATH, ".."),
    `-DREAL="${KT_BRIDGE_LIBRARY_PATH}"`,
    ...flags,
    "-ldl",
  ]
  const run = Bun.spawnSync(command, {
    stdin: new TextEncoder().encode(SHIM + passedOn(extension)),
  })
  if (run.exitCode !== 0) throw new Error(run.stderr.toString())
  return path
}
