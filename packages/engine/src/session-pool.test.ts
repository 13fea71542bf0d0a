import { expect, test } from "bun:test"
import { EngineError } from "./errors.ts"
import { type Lease, SessionPool } from "./session-pool.ts"

interface TestSession {
  id: number
  resets: number
  isClosed: boolean
  reset(): void
  close(): void
}

function makePool(
  maxSessions: number,
  maxQueue = 8,
): { pool: SessionPool<TestSession>; opened: TestSession[] } {
  const opened: TestSession[] = []
  const open = (): TestSession => {
    const session: TestSession = {
      id: opened.length,
      resets: 0,
      isClosed: false,
      reset: () => {
        session.resets++
      },
      close: () => {
        session.isClosed = true
      },
    }
    opened.push(session)
    return session
  }
  return { pool: new SessionPool({ open, maxSessions, maxQueue }), opened }
}

async function lease(
  pool: SessionPool<TestSession>,
  prompt: number[],
  hint?: string,
  signal?: AbortSignal,
): Promise<Lease<TestSession>> {
  const got = await pool.acquire(prompt, hint, signal)
  if (got === undefined) throw new Error("no lease")
  return got
}

test("a session that holds a beginning of the prompt is continued, the longest first", async () => {
  const { pool, opened } = makePool(3)
  const first = await lease(pool, [1])
  const second = await lease(pool, [1])
  first.release([1, 2])
  second.release([1, 2, 3])
  const next = await lease(pool, [1, 2, 3, 4])
  expect([next.session.id, next.cachedTokens, opened.length]).toEqual([1, 3, 2])
  // the whole prompt is no beginning: at least one token must be left to process
  next.release([1, 2, 3, 4])
  const again = await lease(pool, [1, 2, 3, 4])
  expect([again.session.id, again.cachedTokens]).toEqual([0, 2])
})

test(
  "a session is continued by what prompts show of it, unless what they leave out takes too " +
    "much room",
  async () => {
    const pool = new SessionPool({
      open: () => ({ reset: () => {}, close: () => {} }),
      maxSessions: 2,
      maxQueue: 8,
      contextTokens: 20,
    })
    const first = await pool.acquire([1, 2], undefined, undefined)
    first?.release([1, 2, 9, 9, 9, 3], [1, 3]) // four left out
    const next = await pool.acquire([1, 3, 4], undefined, undefined) // leaves room for 17
    expect([next?.session === first?.session, next?.cachedTokens, next?.heldTokens]).toEqual([
      true,
      2,
      [1, 2, 9, 9, 9, 3],
    ])
    next?.releaseUnused()
    const long = await pool.acquire(
      [1, 3, ...Array.from({ length: 11 }, () => 4)],
      undefined,
      undefined,
    ) // leaves room for 7
    expect([long?.cachedTokens, long?.heldTokens]).toEqual([0, []])
    const exact = await pool.acquire([1, 2, 9, 9, 9, 3, 4], undefined, undefined)
    expect([exact?.session === first?.session, exact?.cachedTokens]).toEqual([true, 6])
  },
)

test(
  "without a beginning a new session is opened, then the one unused the longest is " + "reset",
  async () => {
    const { pool, opened } = makePool(2)
    const a = await lease(pool, [1])
    const b = await lease(pool, [2])
    b.release([2, 2])
    a.release([1, 1])
    const c = await lease(pool, [9])
    expect([c.session.id, c.cachedTokens, opened[1]?.resets]).toEqual([1, 0, 1])
  },
)

test("the conversation's own old session goes before a new one", async () => {
  const { pool, opened } = makePool(4)
  ;(await lease(pool, [1], "chat")).release([1, 2, 3])
  const edited = await lease(pool, [1, 9], "chat")
  expect([edited.session.id, edited.cachedTokens, opened.length]).toEqual([0, 0, 1])
  const other = await lease(pool, [1, 9], "other")
  expect(other.session.id).toBe(1)
})

test("requests wait in order, and one more than may wait is refused as BUSY", async () => {
  const { pool } = makePool(1, 2)
  const held = await lease(pool, [1])
  const order: string[] = []
  const second = lease(pool, [2]).then((got) => {
    order.push("second")
    return got
  })
  const third = lease(pool, [3]).then((got) => {
    order.push("third")
    return got
  })
  const refused = await pool.acquire([4], undefined, undefined).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(EngineError)
  expect((refused as EngineError).code).toBe("BUSY")
  expect(pool.queued).toBe(2)
  held.release([])
  ;(await second).release([])
  ;(await third).release([])
  expect(order).toEqual(["second", "third"])
  expect([pool.queued, pool.running]).toEqual([0, 0])
})

test("who aborts leaves the queue without a session", async () => {
  const { pool } = makePool(1)
  const held = await lease(pool, [1])
  const leaving = new AbortController()
  const gone = pool.acquire([2], undefined, leaving.signal)
  const patient = lease(pool, [3])
  leaving.abort()
  expect(await gone).toBeUndefined()
  held.release([])
  expect((await patient).cachedTokens).toBe(0)
  expect(await pool.acquire([4], undefined, AbortSignal.abort())).toBeUndefined()
})

test(
  "the next turn waits for the session that settles with its beginning, and not for " + "another",
  async () => {
    const { pool, opened } = makePool(3)
    const turn = await lease(pool, [1])
    turn.settling([1, 2, 3])
    let hasNext = false
    const next = lease(pool, [1, 2, 3, 4]).then((got) => {
      hasNext = true
      return got
    })
    await Bun.sleep(1)
    expect(hasNext).toBe(false)
    turn.release([1, 2, 3])
    const got = await next
    expect([got.session.id, got.cachedTokens, opened.length]).toEqual([0, 3, 1])
    const other = await lease(pool, [7])
    expect(other.session.id).toBe(1)
  },
)

test("a session that cannot be opened fails its request alone", async () => {
  let canOpen = false
  const pool = new SessionPool<{ reset(): void; close(): void }>({
    open: () => {
      if (!canOpen) throw new EngineError("DEVICE_MEMORY", "no memory")
      return { reset: () => {}, close: () => {} }
    },
    maxSessions: 1,
    maxQueue: 1,
  })
  expect(pool.acquire([1], undefined, undefined)).rejects.toThrow("no memory")
  canOpen = true
  expect(await pool.acquire([1], undefined, undefined)).toBeDefined()
})

test("closing turns away who waits and closes every session", async () => {
  const { pool, opened } = makePool(1)
  const held = await lease(pool, [1])
  const waiting = pool.acquire([2], undefined, undefined).catch((error: unknown) => error)
  pool.refuse()
  held.release([1])
  pool.close()
  expect(((await waiting) as EngineError).code).toBe("CANCELLED")
  expect(opened[0]?.isClosed).toBe(true)
  expect(pool.acquire([3], undefined, undefined)).rejects.toThrow("closed")
})

/** An obvious model of the pool: a list of the token lists given back, the oldest use first. */
test(
  "over random traffic every lease caches the longest beginning that a free session " + "holds",
  async () => {
    let seed = 12345
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return seed % below
    }
    const { pool, opened } = makePool(4)
    const model = new Map<number, number[]>()
    const held: Lease<TestSession>[] = []
    for (let step = 0; step < 3000; step++) {
      if (held.length === 4 || (held.length > 0 && random(2) === 0)) {
        const [back] = held.splice(random(held.length), 1)
        if (back === undefined) continue
        const tokens = Array.from({ length: random(5) }, () => random(2))
        back.release(tokens)
        model.set(back.session.id, tokens)
        continue
      }
      const prompt = Array.from({ length: 1 + random(6) }, () => random(2))
      const lengths = [...model.values()]
        .filter(
          (tokens) => tokens.length < prompt.length && tokens.every((id, i) => prompt[i] === id),
        )
        .map(({ length }) => length)
      const got = await lease(pool, prompt)
      expect(got.cachedTokens).toBe(Math.max(0, ...lengths))
      if (got.cachedTokens > 0)
        expect(model.get(got.session.id)).toEqual(prompt.slice(0, got.cachedTokens))
      model.delete(got.session.id)
      held.push(got)
    }
    expect(opened.length).toBeLessThanOrEqual(4)
  },
)

test("who leaves the head of the queue lets those in whom it kept waiting", async () => {
  const { pool } = makePool(2)
  const first = await lease(pool, [1])
  first.settling([1, 2])
  const leaving = new AbortController()
  const waiting = pool.acquire([1, 2, 3], undefined, leaving.signal) // for the settling session
  const next = pool.acquire([9], undefined, undefined) // could open one, but came later
  leaving.abort()
  expect(await waiting).toBeUndefined()
  expect((await next)?.cachedTokens).toBe(0)
})
