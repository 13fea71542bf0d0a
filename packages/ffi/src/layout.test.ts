import { expect, test } from "bun:test"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { struct } from "./index.ts"

const INNER = struct("inner", { struct_bytes: "u32", ratio: "f32", seed: "u64" })
const OUTER = struct("outer", {
  flag: "u8",
  count: "i32",
  inner: INNER,
  ids: ["i32", 3],
  small: "u8",
  wide: "f64",
  at: "ptr",
})

test("offsets and sizes follow alignment, nested structs and arrays included", () => {
  expect(OUTER.describe().split("\n")).toEqual([
    "outer 56",
    "outer.flag 0",
    "outer.count 4",
    "outer.inner 8",
    "outer.ids 24",
    "outer.small 36",
    "outer.wide 40",
    "outer.at 48",
  ])
})

test("what is written is read back, and missing fields are zero", () => {
  const bytes = OUTER.create({
    flag: 7,
    count: -5,
    inner: { ratio: 0.5, seed: 2n ** 40n },
    ids: [1, -2],
    wide: 1e300,
    at: 2 ** 47,
  })
  expect(OUTER.read(new DataView(bytes.buffer))).toEqual({
    flag: 7,
    count: -5,
    inner: { struct_bytes: 16, ratio: 0.5, seed: 2 ** 40 },
    ids: [1, -2, 0],
    small: 0,
    wide: 1e300,
    at: 2 ** 47,
  })
})

test("values that a field cannot hold are refused by name", () => {
  expect(() => OUTER.create({ count: 2 ** 31 })).toThrow(
    "outer.count is 2147483648; expected a whole number from -2147483648 to 2147483647",
  )
  expect(() => OUTER.create({ flag: 1.5 })).toThrow("outer.flag is 1.5")
  expect(() => OUTER.create({ inner: { seed: -1 } })).toThrow("inner.seed is -1")
  expect(() => OUTER.create({ at: 2 ** 60 })).toThrow("outer.at")
  expect(() => OUTER.create({ ids: [1, 2, 3, 4] })).toThrow("outer.ids holds 3 values, got 4")
  const bytes = INNER.create({ seed: 2n ** 63n })
  expect(() => INNER.read(new DataView(bytes.buffer))).toThrow(
    "inner.seed is 9223372036854775808, beyond 2^53",
  )
})

const compiler = Bun.which("cc")
test.skipIf(compiler === null)("offsets are those of a C compiler (needs cc)", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ds4-layout-"))
  await Bun.write(
    join(folder, "layout.c"),
    `
    #include <stdint.h>
    #include <stddef.h>
    #include <stdio.h>
    typedef struct { uint32_t struct_bytes; float ratio; uint64_t seed; } inner;
    typedef struct {
      uint8_t flag; int32_t count; inner inner; int32_t ids[3];
      uint8_t small; double wide; void *at;
    } outer;
    #define FIELD(f) printf("outer." #f " %zu\\n", offsetof(outer, f))
    int main(void) {
      printf("outer %zu\\n", sizeof(outer));
      FIELD(flag); FIELD(count); FIELD(inner); FIELD(ids); FIELD(small); FIELD(wide); FIELD(at);
    }`,
  )
  await Bun.$`${compiler ?? "cc"} layout.c -o layout`.cwd(folder).quiet()
  expect((await Bun.$`./layout`.cwd(folder).text()).trim()).toBe(OUTER.describe())
})
