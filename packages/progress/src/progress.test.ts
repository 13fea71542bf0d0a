import { expect, test } from "bun:test"
import { Progress } from "./progress.ts"
import { reportLoad } from "./report-load.ts"
import { stageText } from "./stage-text.ts"

function screen(isTerminal: boolean) {
  const written: string[] = []
  const write = (text: string) => void written.push(text)
  return { written, screen: { write, isTerminal, columns: () => 60 } }
}

test("bytes are told with their rate and the time left, tokens and items too", () => {
  const state = { done: 12.4e9, elapsedMs: 7000, rate: 1.85e9 }
  expect(stageText({ label: "packing weights", unit: "bytes", total: 86.7e9 }, state)).toBe(
    "packing weights: 12.4 of 86.7 GB (14 %), 1.85 GB/s, 0:40 left",
  )
  expect(
    stageText({ label: "hashing", unit: "bytes", total: 16e6 }, { ...state, done: 8e6, rate: 4e6 }),
  ).toBe("hashing: 8 of 16 MB (50 %), 4.0 MB/s, 0:02 left")
  expect(
    stageText(
      { label: "reading", unit: "tokens", total: 65536 },
      { ...state, done: 18432, rate: 310 },
    ),
  ).toBe("reading 18432/65536 (28 %) 310 t/s, 2:32 left")
  expect(
    stageText({ label: "answered", unit: "items", total: 60 }, { ...state, done: 3, rate: 0.5 }),
  ).toBe("answered 3/60 (5 %), 1:54 left")
})

test("before anything has moved, and where the end is not known, the time waited is told", () => {
  const state = { done: 0, elapsedMs: 4000, rate: undefined }
  expect(stageText({ label: "reading", unit: "tokens", total: 512 }, state)).toBe(
    "reading 0/512 (0 %), 4 s",
  )
  expect(stageText({ label: "opening the model" }, state)).toBe("opening the model… 4 s")
  expect(stageText({ label: "writing", unit: "bytes", total: 0 }, state)).toBe("writing… 4 s")
})

test("a terminal gets one line, redrawn within half a second and erased at the end", async () => {
  const { written, screen: terminal } = screen(true)
  const progress = new Progress(terminal)
  progress.begin({ label: "working", unit: "bytes", total: 1e9 })
  expect(written).toEqual([]) // short waits stay invisible
  await Bun.sleep(500)
  expect(written[0]).toStartWith("\rworking: 0.0 of 1.0 GB (0 %), ")
  expect(written.every((text) => text.endsWith("\x1b[K") && !text.includes("\n"))).toBe(true)
  const drawn = written.length
  progress.stop()
  expect(written.slice(drawn)).toEqual(["\r\x1b[K"])
  await Bun.sleep(300)
  expect(written).toHaveLength(drawn + 1)
})

test("the rate is that of what moved since the stage began, not of what was there", async () => {
  const { written, screen: terminal } = screen(true)
  const progress = new Progress(terminal)
  progress.begin({ label: "reading", unit: "tokens", total: 2000 })
  progress.update(1000) // cached
  for (let done = 1000; done <= 1040; done += 10) {
    await Bun.sleep(100)
    progress.update(done)
  }
  progress.stop()
  const rate = Number(/ (\d+(?:\.\d+)?) t\/s/.exec(written.at(-2) ?? "")?.[1])
  expect(rate).toBeGreaterThan(20)
  expect(rate).toBeLessThan(200)
})

test("a pipe gets a line within a second, then few, without escape sequences", async () => {
  const { written, screen: pipe } = screen(false)
  const progress = new Progress(pipe)
  const report = reportLoad(progress)
  report({ stage: "file", doneBytes: 0, totalBytes: 0 })
  report({ stage: "packing", doneBytes: 0, totalBytes: 4e9 })
  for (let step = 1; step <= 20; step++) {
    await Bun.sleep(60)
    report({ stage: "packing", doneBytes: step * 1e8, totalBytes: 4e9 })
  }
  progress.stop()
  expect(written).toHaveLength(1)
  expect(written[0]).toMatch(
    /^packing weights: [01]\.\d of 4\.0 GB \(\d+ %\), [\d.]+ GB\/s, 0:0\d left\n$/,
  )
})

test("a long line stays on one row, and a silent progress writes nothing", async () => {
  const { written, screen: terminal } = screen(true)
  using progress = new Progress(terminal)
  progress.begin({ label: "x".repeat(200) })
  await Bun.sleep(400)
  expect(written[0]).toBe(`\r${"x".repeat(59)}\x1b[K`)
  using silent = new Progress(undefined)
  silent.begin({ label: "y" })
  silent.update(1)
  expect(silent.wasShown).toBe(false)
})
