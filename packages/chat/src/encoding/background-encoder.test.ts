import { afterAll, expect, test } from "bun:test"
import { EMBEDDED_MODEL_PATH } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"
import { loadTokenizer, type Segment } from "@ds4/tokenizer"
import { BackgroundEncoder } from "./background-encoder.ts"
import { encodeInSlices } from "./encode-in-slices.ts"

const source = (await openModelFile(EMBEDDED_MODEL_PATH)).tokenizer
if (source === undefined) throw new Error("the embedded model has no vocabulary")
const tokenizer = await loadTokenizer(source)
const background = new BackgroundEncoder(EMBEDDED_MODEL_PATH)
afterAll(() => background.close())

const unbroken = "ab".repeat(1_000_000)
const plain = (text: string): Segment => ({ text, control: false })

test(
  "the thread gives the ids of the tokenizer here, control strings and given ids " + "included",
  async () => {
    const segments: Segment[] = [
      { text: "<｜User｜>", control: true },
      plain("<｜User｜> ab\n日本 \ud800"),
      { text: "x", control: true, ids: [7, 8] },
    ]
    const [first, second] = await Promise.all([
      background.encode(segments),
      background.encode([plain("other")]),
    ])
    expect([...first]).toEqual(tokenizer.encodeSegments(segments))
    expect([...second]).toEqual(tokenizer.encode("other"))
  },
)

test(
  "text without a place to cut is encoded there, and the event loop turns meanwhile; other " +
    "text " +
    "stays here",
  async () => {
    const sent: number[] = []
    const spied = {
      encode: (segments: readonly Segment[]) => (
        sent.push(segments.reduce((sum, { text }) => sum + text.length, 0)),
        background.encode(segments)
      ),
    }
    await encodeInSlices({ tokenizer, background: spied }, [
      plain("the world and\n".repeat(20_000)),
    ])
    expect(sent).toEqual([])
    const segments = [{ text: "<｜User｜>", control: true }, plain(unbroken), plain("\nthe end")]
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const ids = await encodeInSlices({ tokenizer, background: spied }, segments)
    clearInterval(timer)
    expect(ids).toEqual(tokenizer.encodeSegments(segments))
    expect(sent).toHaveLength(1)
    expect(turns).toBeGreaterThan(3)
  },
)

test("the thread ends when nobody needs it and comes back", async () => {
  const brief = new BackgroundEncoder(EMBEDDED_MODEL_PATH, 10)
  expect(brief.isRunning).toBe(false)
  await brief.encode([plain("a")])
  for (let waits = 0; brief.isRunning && waits < 1000; waits++) await Bun.sleep(2)
  expect(brief.isRunning).toBe(false)
  expect([...(await brief.encode([plain("a")]))]).toEqual(tokenizer.encode("a"))
  brief.close()
})

/** The message of the error that it ends with. */
const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => "",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )

test("who waits learns of a thread that was closed or cannot load its vocabulary", async () => {
  const closed = new BackgroundEncoder(EMBEDDED_MODEL_PATH)
  const waiting = faultOf(closed.encode([plain(unbroken)]))
  closed.close()
  expect(await waiting).toContain("closed")
  const lost = new BackgroundEncoder("/nowhere/model.gguf")
  expect(await faultOf(lost.encode([plain("a")]))).toContain("/nowhere/model.gguf")
  lost.close()
})
