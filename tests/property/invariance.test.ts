// A result must not depend on how a sequence is cut into steps, or on the other sequences of a
// step. The number of threads must not matter, nor a save and a restore in between. On the CPU all
// of these are bitwise. A failure's message prints the seed.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import type { NativeEngine, SessionHandle } from "@ds4/engine"
import { CHECKPOINT_NAMES, openCheckpoint, PLACES } from "../parity/support/checkpoints.ts"

setDefaultTimeout(120_000)

const NUMERICS = ["fast", "trained", "plain"] as const

/** A small deterministic generator: the same cases on every machine. */
class Random {
  constructor(private state: number) {}
  below(limit: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.state / 2 ** 32) * limit)
  }
  tokens(count: number, vocab: number): number[] {
    return Array.from({ length: count }, () => this.below(vocab))
  }
}

const CHUNKS = [1, 2, 3, 4, 5, 7, 31, 64, 127, 128, 129, 200, 512]

/** All logits of the tokens, fed in chunks chosen by `next`. */
function feed(
  engine: NativeEngine,
  session: SessionHandle,
  tokens: readonly number[],
  next: () => number,
): Float32Array {
  const parts: Float32Array[] = []
  for (let begin = 0; begin < tokens.length; ) {
    const part = tokens.slice(begin, begin + Math.min(next(), 512))
    parts.push(engine.step([{ session, tokens: part, rows: "ALL" }]))
    begin += part.length
  }
  return concatenated(parts)
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const sameBits = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.compare(bytesOf(a), bytesOf(b)) === 0
const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

for (const name of CHECKPOINT_NAMES) {
  for (const [numerics, place] of NUMERICS.flatMap((each) =>
    PLACES.map((place) => [each, place] as const),
  )) {
    describe(`${name}, ${numerics}, ${place} experts`, () => {
      let engine: NativeEngine
      beforeAll(async () => {
        engine = await openCheckpoint(name, "safetensors", {
          numerics,
          threads: 1, // two threads wait long for a core that other tests use
          experts: { place },
        })
      })
      afterAll(() => engine.close())

      test(
        "random splits of random prompts of 1..600 tokens give the same logits and the same " +
          "state",
        () => {
          for (let seed = 1; seed <= 5; seed++) {
            const random = new Random(seed)
            const tokens = random.tokens(
              seed === 1 ? 600 : 1 + random.below(600),
              engine.model.vocab,
            )
            using whole = engine.openSession(1024)
            using split = engine.openSession(1024)
            const expected = feed(engine, whole, tokens, () => 512)
            const actual = feed(
              engine,
              split,
              tokens,
              () => CHUNKS[random.below(CHUNKS.length)] ?? 1,
            )
            expect(sameBits(actual, expected), `seed ${seed}`).toBe(true)
            expect(
              Buffer.compare(split.snapshot(), whole.snapshot()),
              `state of seed ${seed}`,
            ).toBe(0)
          }
        },
      )

      test("fixed chunk sizes give the same logits, one token at a time included", () => {
        const tokens = new Random(77).tokens(265, engine.model.vocab)
        using whole = engine.openSession(1024)
        const expected = feed(engine, whole, tokens, () => 512)
        for (const size of [1, 3, 4, 5, 127, 128, 129]) {
          using split = engine.openSession(1024)
          expect(
            sameBits(
              feed(engine, split, tokens, () => size),
              expected,
            ),
            `chunks of ${size}`,
          ).toBe(true)
        }
      })

      test("a step of several sessions equals single steps, at different positions", () => {
        const random = new Random(5)
        const sessions = Array.from({ length: 5 }, () => engine.openSession(1024))
        const alone = sessions.map(() => engine.openSession(1024))
        for (let round = 0; round < 6; round++) {
          // rounds alternate between chunks of prefill and single tokens, mixed in one step
          const parts = sessions.map((_, i) =>
            random.tokens((round + i) % 3 === 0 ? 1 + random.below(90) : 1, engine.model.vocab),
          )
          const together = engine.step(
            sessions.map((session, i) => ({
              session,
              tokens: parts[i] ?? [],
              rows: "ALL" as const,
            })),
          )
          const single = concatenated(
            alone.map((session, i) =>
              engine.step([{ session, tokens: parts[i] ?? [], rows: "ALL" }]),
            ),
          )
          expect(sameBits(together, single), `round ${round}`).toBe(true)
        }
        for (const session of [...sessions, ...alone]) session.close()
      })

      test("save, restore, continue equals continue, at every alignment of windows", () => {
        for (const length of [1, 3, 31, 32, 33, 126, 127, 128, 129, 130, 257]) {
          const random = new Random(length)
          const tokens = random.tokens(length, engine.model.vocab)
          const more = random.tokens(20, engine.model.vocab)
          using session = engine.openSession(1024)
          feed(engine, session, tokens, () => 512)
          const saved = session.snapshot()
          using restored = engine.openSession(1024)
          // restoring replaces what was there
          feed(engine, restored, random.tokens(9, engine.model.vocab), () => 512)
          restored.restore(saved)
          expect(restored.position).toBe(length)
          const expected = feed(engine, session, more, () => 1)
          expect(
            sameBits(
              feed(engine, restored, more, () => 7),
              expected,
            ),
            `after ${length} tokens`,
          ).toBe(true)
        }
      })

      test("a later token never changes an earlier row", () => {
        const random = new Random(9)
        const tokens = random.tokens(200, engine.model.vocab)
        using session = engine.openSession(1024)
        const expected = feed(engine, session, tokens, () => 512)
        for (const at of [1, 31, 32, 100, 127, 128, 199]) {
          const changed = tokens.with(at, ((tokens[at] ?? 0) + 1) % engine.model.vocab)
          using other = engine.openSession(1024)
          const actual = feed(engine, other, changed, () => 512)
          const row = at * engine.model.vocab
          expect(sameBits(actual.subarray(0, row), expected.subarray(0, row)), `token ${at}`).toBe(
            true,
          )
          expect(
            sameBits(
              actual.subarray(row, row + engine.model.vocab),
              expected.subarray(row, row + engine.model.vocab),
            ),
          ).toBe(false)
        }
      })
    })
  }

  test(`${name}: the number of threads changes no bit`, async () => {
    const tokens = new Random(3).tokens(150, 500)
    for (const place of PLACES) {
      const results: Float32Array[] = []
      for (const threads of [1, 2, 3]) {
        const engine = await openCheckpoint(name, "safetensors", {
          numerics: "fast",
          threads,
          experts: { place },
        })
        const session = engine.openSession(512)
        results.push(feed(engine, session, tokens, () => 64))
        session.close()
        await engine.close()
      }
      const [first = new Float32Array(), ...others] = results
      for (const other of others) expect(sameBits(other, first), place).toBe(true)
    }
  })

  test(`${name}: hash layers choose by token alone, their weights by context`, async () => {
    const engine = await openCheckpoint(name, "safetensors", { numerics: "plain" })
    engine.trace.enable(true)
    const routes = (prefix: readonly number[]): { ids: number[]; weights: number[] } => {
      using session = engine.openSession(512)
      engine.step([{ session, tokens: [...prefix, 42], rows: "NONE" }])
      const last = (key: string): number[] => [...engine.trace.read(`layer0.${key}`)].slice(-2)
      return { ids: last("route_ids"), weights: last("route_weights") }
    }
    const here = routes([1, 2, 3])
    const there = routes([400, 17])
    expect(there.ids).toEqual(here.ids)
    expect(there.weights).not.toEqual(here.weights)
    await engine.close()
  })
}

test(
  "a snapshot of another shape, a cut one or a changed one is refused and changes " + "nothing",
  async () => {
    const a = await openCheckpoint("tiny-a", "safetensors", { numerics: "trained" })
    const b = await openCheckpoint("tiny-b", "safetensors", { numerics: "trained" })
    const random = new Random(1)
    const session = a.openSession(512)
    feed(a, session, random.tokens(140, a.model.vocab), () => 512)
    const saved = session.snapshot()
    const other = b.openSession(512)
    expect(() => other.restore(saved)).toThrow("another model")
    for (let round = 0; round < 200; round++) {
      const damaged = saved.slice(0, round % 2 === 0 ? saved.length : random.below(saved.length))
      const at = random.below(saved.length)
      if (round % 2 === 0) damaged[at] = (damaged[at] ?? 0) ^ (1 << random.below(8))
      expect(() => session.restore(damaged), `round ${round}`).toThrow()
      expect(session.position).toBe(140)
    }
    expect(Buffer.compare(session.snapshot(), saved)).toBe(0)
    session.close()
    other.close()
    await a.close()
    await b.close()
  },
)

test(
  "a request beyond the context, an id outside the vocabulary and a closed session are " +
    "refused",
  async () => {
    const engine = await openCheckpoint("tiny-a", "safetensors", { numerics: "fast" })
    const session = engine.openSession(8)
    engine.step([{ session, tokens: [1, 2, 3, 4, 5], rows: "NONE" }])
    expect(() => engine.step([{ session, tokens: [1, 2, 3, 4], rows: "NONE" }])).toThrow(
      "context of 8",
    )
    expect(() => engine.step([{ session, tokens: [512], rows: "NONE" }])).toThrow(
      "outside the vocabulary",
    )
    expect(() => engine.step([{ session, tokens: [-1], rows: "NONE" }])).toThrow(
      "outside the vocabulary",
    )
    expect(() =>
      engine.step([
        { session, tokens: [1], rows: "NONE" },
        { session, tokens: [1], rows: "NONE" },
      ]),
    ).toThrow("same session")
    expect(session.position).toBe(5)
    session.close()
    expect(() => engine.step([{ session, tokens: [1], rows: "NONE" }])).toThrow()
    expect(() => engine.openSession(0)).toThrow("context_tokens")
    await engine.close()
  },
)
