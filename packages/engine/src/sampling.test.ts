import { afterAll, expect, test } from "bun:test"
import { join } from "node:path"
import { engineLibrary } from "./library.ts"
import { OutHandle } from "./native/handle.ts"
import { SAMPLING } from "./symbols.ts"
import { trackZones, type Zone } from "./testing/zones.ts"

const FIXTURES = join(import.meta.dir, "../fixtures")
interface RngFile {
  cases: { seed: string; steps: { state: string; output: string; uniform: number }[] }[]
}
interface SamplerFile {
  logits: (number | "-inf")[][]
  cases: {
    id: string
    logits: number
    temperature: number
    top_k: number
    top_p: number
    min_p: number
    seed: string
    expected: number[]
  }[]
}
interface ZonesFile {
  cases: { id: string; text: string; expected: Zone }[]
}
const rng = (await Bun.file(join(FIXTURES, "rng.json")).json()) as RngFile
const sampler = (await Bun.file(join(FIXTURES, "sampler.json")).json()) as SamplerFile
const zones = (await Bun.file(join(FIXTURES, "sampling-zones.json")).json()) as ZonesFile

const { symbols, check } = engineLibrary()
const opened: (() => void)[] = []
afterAll(() => {
  for (const close of opened) close()
})

function openSampler(settings: {
  temperature: number
  top_p: number
  min_p: number
  top_k: number
  seed: bigint
}) {
  const out = new OutHandle()
  check("ds4_sampler_open", symbols.ds4_sampler_open(SAMPLING.create(settings), out.memory))
  const { pointer } = out
  opened.push(() => symbols.ds4_sampler_close(pointer))
  return pointer
}

const PLAIN = { temperature: 1, top_p: 1, min_p: 0, top_k: 0 }

test("the files hold all recorded cases", () => {
  expect([rng.cases.length, sampler.cases.length, zones.cases.length]).toEqual([5, 46, 20])
})

test.each(rng.cases)("generator with seed $seed", ({ seed, steps }) => {
  const handle = openSampler({ ...PLAIN, seed: BigInt(seed) })
  const state = new BigUint64Array(1)
  const word = new BigUint64Array(1)
  const uniform = new Float32Array(1)
  const seen = steps.map(() => {
    check("ds4_sampler_random", symbols.ds4_sampler_random(handle, state, word, uniform))
    return { state: String(state[0]), output: String(word[0]), uniform: uniform[0] ?? -1 }
  })
  expect(seen).toEqual(steps)
})

test.each(sampler.cases)(
  "draws of $id",
  ({ logits, expected, seed, temperature, top_k, top_p, min_p }) => {
    const handle = openSampler({ temperature, top_k, top_p, min_p, seed: BigInt(seed) })
    const row = Float32Array.from(sampler.logits[logits] ?? [], (value) =>
      value === "-inf" ? -Infinity : value,
    )
    const token = new Int32Array(1)
    const drawn = expected.map(() => {
      check("ds4_sampler_draw", symbols.ds4_sampler_draw(handle, row, row.length, 0, token))
      return token[0] ?? -1
    })
    expect(drawn).toEqual(expected)
  },
)

test.each(zones.cases)("zone after $id, whole and byte by byte", ({ text, expected }) => {
  const bytes = new TextEncoder().encode(text)
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte))
  for (const pieces of [[bytes], single]) expect(trackZones(pieces).at(-1)?.zone).toBe(expected)
})

test("bad arguments become errors, not crashes", () => {
  const handle = openSampler({ ...PLAIN, seed: 1n })
  const token = new Int32Array(1)
  expect(() => check("x", symbols.ds4_sampler_draw(handle, null, 5, 0, token))).toThrow(
    "logits is null",
  )
  expect(() =>
    check("x", symbols.ds4_sampler_draw(handle, new Float32Array(3), 0, 0, token)),
  ).toThrow("vocab is 0")
  expect(() =>
    check("x", symbols.ds4_sampler_draw(handle, new Float32Array([NaN, Infinity]), 2, 0, token)),
  ).toThrow("none of the 2 logits is a finite number")
  expect(() => openSampler({ ...PLAIN, temperature: NaN, seed: 1n })).toThrow("not a number")
  const short = SAMPLING.create(PLAIN)
  short[0] = 0
  expect(() => check("x", symbols.ds4_sampler_open(short, new OutHandle().memory))).toThrow(
    "ds4_sampling: struct_bytes is 0; expected sizeof(ds4_sampling)",
  )
})
