import { expect, test } from "bun:test"
import { EngineError } from "./errors.ts"
import { PrefixCache } from "./prefix-cache/prefix-cache.ts"
import { type Lease, SessionPool } from "./session-pool.ts"

interface TestMark {
  readonly position: number
  readonly ownBytes: number
  close(): void
}
interface TestSession {
  readonly from: TestMark | undefined
  isClosed: boolean
  close(): void
}
type TestLease = Lease<TestSession, TestMark>

function makePool(maxSessions: number, maxQueue = 8) {
  const opened: TestSession[] = []
  const open = (from: TestMark | undefined): TestSession => {
    const session = { from, isClosed: false, close: () => void (session.isClosed = true) }
    opened.push(session)
    return session
  }
  const cache = new PrefixCache<TestMark>({
    usedBytes: () => 0,
    roomBytes: () => Infinity,
    budgetBytes: 1,
    contextTokens: 1000,
  })
  return { pool: new SessionPool({ open, cache, maxSessions, maxQueue }), opened, cache }
}

const list = (tokens: readonly number[]): Int32Array => Int32Array.from(tokens)
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

async function lease(
  pool: SessionPool<TestSession, TestMark>,
  prompt: number[],
  messageBegins: number[] = [],
): Promise<TestLease> {
  const got = await pool.acquire({ prompt: list(prompt), messageBegins })
  if (got === undefined) throw new Error("no lease")
  return got
}

function keep(held: TestLease, tokens: readonly number[]): void {
  held.keep({ position: tokens.length, ownBytes: 1, close: () => {} }, list(tokens), [])
}

/** Gives a session back whose state is behind these tokens. */
function end(held: TestLease, tokens: readonly number[]): void {
  keep(held, tokens)
  held.release()
}

/** Whether the promise has been resolved some turns of the event loop from now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.then(() => (settled = true))
  await Bun.sleep(1)
  return settled
}

test("a request begins with the longest beginning that was kept, whoever made it", async () => {
  const { pool, opened } = makePool(3)
  end(await lease(pool, [1]), [1, 2])
  end(await lease(pool, [1]), [1, 2, 3])
  const next = await lease(pool, [1, 2, 3, 4])
  expect([next.cachedTokens, next.session.from?.position, [...next.heldTokens]]).toEqual([
    3,
    3,
    [1, 2, 3],
  ])
  // Another one of the same beginning need not wait for it.
  expect((await lease(pool, [1, 2, 3, 5])).cachedTokens).toBe(3)
  next.release()
  next.release()
  expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, true, true, false])
  expect(pool.running).toBe(1)
})

test("requests wait in order, and one more than may wait is refused as BUSY", async () => {
  const { pool } = makePool(1, 2)
  const held = await lease(pool, [1])
  const order: string[] = []
  const second = lease(pool, [2]).then((got) => (order.push("second"), got))
  const third = lease(pool, [3]).then((got) => (order.push("third"), got))
  const refused = await pool.acquire({ prompt: list([4]) }).catch((e: unknown) => e)
  expect(refused).toBeInstanceOf(EngineError)
  expect((refused as EngineError).code).toBe("BUSY")
  expect(pool.queued).toBe(2)
  held.release()
  ;(await second).release()
  ;(await third).release()
  expect(order).toEqual(["second", "third"])
  expect([pool.queued, pool.running]).toEqual([0, 0])
})

test("who aborts leaves the queue without a session", async () => {
  const { pool } = makePool(1)
  const held = await lease(pool, [1])
  const leaving = new AbortController()
  const gone = pool.acquire({ prompt: list([2]) }, leaving.signal)
  const patient = lease(pool, [3])
  leaving.abort()
  expect(await gone).toBeUndefined()
  held.release()
  expect((await patient).cachedTokens).toBe(0)
  expect(await pool.acquire({ prompt: list([4]) }, AbortSignal.abort())).toBeUndefined()
})

test(
  "the next turn waits for the session that settles with its beginning, and others pass " + "it",
  async () => {
    const { pool } = makePool(3)
    const turn = await lease(pool, [1])
    turn.settling([list([1, 7, 2, 3]), list([1, 2, 3])])
    const next = lease(pool, [1, 2, 3, 4])
    expect(await isSettled(next)).toBe(false)
    expect((await lease(pool, [7])).cachedTokens).toBe(0)
    turn.keep({ position: 4, ownBytes: 1, close: () => {} }, list([1, 7, 2, 3]), [list([1, 2, 3])])
    expect((await next).cachedTokens).toBe(3)
    turn.release()
    const again = await lease(pool, [1, 2, 3, 4])
    expect([...again.heldTokens]).toEqual([1, 7, 2, 3])
  },
)

test("a settling session that leaves no state keeps nobody waiting", async () => {
  const { pool } = makePool(3)
  const turn = await lease(pool, [1])
  turn.settling([list([1, 2, 3])])
  const next = lease(pool, [1, 2, 3, 4])
  turn.release()
  expect((await next).cachedTokens).toBe(0)
})

test("a long beginning that is being read is waited for, a short one is not", async () => {
  const { pool } = makePool(4)
  const reading = await lease(pool, [...range(1000), 5], [100, 600])
  const sharing = lease(pool, [...range(700), 8])
  expect(await isSettled(sharing)).toBe(false)
  expect((await lease(pool, [...range(300), 8])).cachedTokens).toBe(0) // 100 are soon read
  keep(reading, range(100))
  expect(await isSettled(sharing)).toBe(false)
  keep(reading, range(600))
  expect((await sharing).cachedTokens).toBe(600)
})

test("who reads a long beginning and leaves lets those read it who waited", async () => {
  const { pool } = makePool(4)
  const reading = await lease(pool, [...range(1000), 5], [600])
  const sharing = [lease(pool, [...range(700), 8]), lease(pool, [...range(700), 9])]
  reading.release()
  expect((await Promise.all(sharing)).map(({ cachedTokens }) => cachedTokens)).toEqual([0, 0])
})

test("a session that cannot be opened fails its request alone", async () => {
  let canOpen = false
  const { cache } = makePool(1)
  const pool = new SessionPool<{ close(): void }, TestMark>({
    open: () => {
      if (!canOpen) throw new EngineError("DEVICE_MEMORY", "no memory")
      return { close: () => {} }
    },
    cache,
    maxSessions: 1,
    maxQueue: 1,
  })
  expect(pool.acquire({ prompt: list([1]) }, undefined)).rejects.toThrow("no memory")
  canOpen = true
  expect(await pool.acquire({ prompt: list([1]) }, undefined)).toBeDefined()
})

test("where memory is short the cache gives way, but for the state that is needed", async () => {
  const { cache } = makePool(1)
  let isShort = false
  const pool = new SessionPool<{ close(): void }, TestMark>({
    open: () => {
      if (isShort && cache.stats.prefixes > 1) throw new EngineError("DEVICE_MEMORY", "no memory")
      return { close: () => {} }
    },
    cache,
    maxSessions: 1,
    maxQueue: 1,
  })
  for (const tokens of [
    [1, 2],
    [3, 4],
  ]) {
    const held = await pool.acquire({ prompt: list([1]) })
    held?.keep({ position: 2, ownBytes: 1, close: () => {} }, list(tokens), [])
    held?.release()
  }
  isShort = true
  expect((await pool.acquire({ prompt: list([1, 2, 3]) }, undefined))?.cachedTokens).toBe(2)
  expect(cache.stats.prefixes).toBe(1)
})

test("closing turns away who waits and empties the cache", async () => {
  const { pool, opened, cache } = makePool(1)
  const held = await lease(pool, [1])
  const waiting = pool.acquire({ prompt: list([2]) }).catch((error: unknown) => error)
  pool.refuse()
  end(held, [1])
  pool.close()
  expect(((await waiting) as EngineError).code).toBe("CANCELLED")
  expect([opened[0]?.isClosed, cache.stats.prefixes]).toEqual([true, 0])
  expect(pool.acquire({ prompt: list([3]) }, undefined)).rejects.toThrow("closed")
})
