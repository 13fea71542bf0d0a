import { expect, test } from "bun:test"
import { parseCEnums, parseCFunctions, tableRows } from "@ds4/ffi/testing"
import { DS4_HEADER_PATH } from "@ds4/native"
import { TENSOR_KINDS, TENSOR_TYPES } from "@ds4/model-file"
import { engineLibrary } from "./library.ts"
import {
  DS4_STRUCTS,
  DS4_SYMBOLS,
  EXPERT_NUMERICS,
  EXPERTS,
  FINISH,
  ISA,
  JOB,
  LOGITS,
  NUMERICS,
  STATUS,
  SWITCHES,
} from "./symbols.ts"

const header = await Bun.file(DS4_HEADER_PATH).text()
const enums = parseCEnums(header)

/** Constants of one prefix, without it, except those that belong to a longer one. */
const group = (prefix: string, except: readonly string[] = []): Record<string, number> =>
  Object.fromEntries(
    Object.entries(enums)
      .filter(([name]) => name.startsWith(prefix) && !except.includes(name))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  )

const upperSnake = (values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name.replace(/[A-Z]/g, "_$&").toUpperCase(),
      value,
    ]),
  )

test("the table is the header, function for function and in its order", () => {
  const functions = parseCFunctions(header, {
    exportMacro: "DS4_API",
    types: { ds4_status: "i32" },
  })
  expect(Object.keys(functions).length).toBeGreaterThan(40)
  expect(tableRows(DS4_SYMBOLS)).toEqual(functions)
  expect(Object.keys(DS4_SYMBOLS)).toEqual(Object.keys(functions))
})

test("struct sizes and offsets are those of the library that we ship", () => {
  const { symbols } = engineLibrary()
  expect(DS4_STRUCTS.map((each) => each.describe())).toEqual(
    String(symbols.ds4_abi_layout())
      .trim()
      .split(/\n(?=\w+ )/)
      .map((text) => text.trim()),
  )
})

test("TENSOR_KINDS equals the C enum", () => {
  expect(Object.fromEntries(TENSOR_KINDS.map(({ name }, id) => [name, id]))).toEqual(
    group("DS4_TENSOR_", ["DS4_TENSOR_KIND_COUNT"]),
  )
  expect(enums.DS4_TENSOR_KIND_COUNT).toBe(TENSOR_KINDS.length)
})

test("TENSOR_TYPES equals the C enum", () => {
  expect(
    Object.fromEntries(Object.entries(TENSOR_TYPES).map(([name, { id }]) => [name, id])),
  ).toEqual(group("DS4_TYPE_"))
})

test("statuses, options, job states and finishes equal the C enums", () => {
  expect({ ...STATUS }).toEqual({ OK: enums.DS4_OK ?? -1, ...group("DS4_ERR_") } as typeof STATUS)
  expect(upperSnake(NUMERICS)).toEqual(group("DS4_NUMERICS_"))
  expect(upperSnake(ISA)).toEqual(group("DS4_ISA_"))
  expect(upperSnake(EXPERTS)).toEqual(group("DS4_EXPERTS_"))
  expect(upperSnake(EXPERT_NUMERICS)).toEqual(group("DS4_EXPERT_NUMERICS_"))
  expect(upperSnake(SWITCHES)).toEqual(group("DS4_SWITCH_"))
  expect<Record<string, number>>({ ...LOGITS }).toEqual(group("DS4_LOGITS_"))
  expect<Record<string, number>>({ ...JOB }).toEqual(group("DS4_JOB_"))
  expect<Record<string, number>>({ ...FINISH }).toEqual(group("DS4_FINISH_"))
})
