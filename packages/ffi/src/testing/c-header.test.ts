import { expect, test } from "bun:test"
import { parseCEnums, parseCFunctions, tableRows } from "./c-header.ts"

const HEADER = `
/* X_API int x_commented_out(void); */
#define X_API __attribute__((visibility("default")))
typedef struct x_thing *x_thing_t;
enum { X_A = 4, X_B, X_C = 1000, /* , X_D */ X_E };
X_API uint32_t x_version(void);
X_API const char *x_error(void);
X_API x_status x_open(const char *path, x_thing_t *out,
                      const uint64_t sizes[3], bool strict);
X_API void x_wake(x_thing_t thing, void (*wake)(uint32_t tag, int more), size_t count, const int n);
`

test("declarations become rows with bun:ffi types, comments and macros aside", () => {
  expect(
    parseCFunctions(HEADER, { exportMacro: "X_API", types: { x_status: "i32", x_thing_t: "ptr" } }),
  ).toEqual({
    x_version: { args: [], returns: "u32" },
    x_error: { args: [], returns: "cstring" },
    x_open: { args: ["ptr", "ptr", "ptr", "bool"], returns: "i32" },
    x_wake: { args: ["ptr", "ptr", "u64", "i32"], returns: "void" },
  })
})

test("a type that is not allowed at the boundary is an error", () => {
  expect(() => parseCFunctions("X_API long x_count(void);", { exportMacro: "X_API" })).toThrow(
    "the type long",
  )
  expect(() =>
    parseCFunctions("X_API void x_take(struct x_big value);", { exportMacro: "X_API" }),
  ).toThrow("struct x_big")
})

test("enum values are counted as C counts them", () => {
  expect(parseCEnums(HEADER)).toEqual({ X_A: 4, X_B: 5, X_C: 1000, X_E: 1001 })
})

test("a table is compared by the C types behind its bun:ffi types", () => {
  expect(
    tableRows({ x: { args: ["buffer", "u64_fast", "function"], returns: "i64_fast" } }),
  ).toEqual({ x: { args: ["ptr", "u64", "ptr"], returns: "i64" } })
})
