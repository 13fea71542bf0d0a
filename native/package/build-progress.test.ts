import { expect, test } from "bun:test"
import { BuildProgress, percentOf } from "./build-progress.ts"

function recorded(isTerminal: boolean) {
  const clock = { ms: 0 }
  const written: string[] = []
  const output = { write: (text: string) => written.push(text), isTerminal, now: () => clock.ms }
  return { clock, written, progress: new BuildProgress("building", output) }
}

test("lines of ninja and make say how far they are; others do not", () => {
  expect(percentOf("[30/60] Building CXX object a.cc.o")).toBe(50)
  expect(percentOf("[  7%] Building CXX object a.cc.o")).toBe(7)
  expect(percentOf("[1/1] Re-checking globbed directories...")).toBe(0)
  expect(percentOf("a.cc:1:2: error: expected ;")).toBeUndefined()
})

test("a terminal has one line that advances, and is told the time without a step too", () => {
  const { clock, written, progress } = recorded(true)
  progress.push("[1/4] Building a\n[2/")
  clock.ms = 2000
  progress.tick()
  progress.push("4] Building b\n")
  clock.ms = 3000
  progress.end(true)
  expect(written).toEqual([
    "\rds4: building: 0 %, 0 s\x1b[K",
    "\rds4: building: 25 %, 0 s\x1b[K",
    "\rds4: building: 25 %, 2 s\x1b[K",
    "\rds4: building: 50 %, 2 s\x1b[K",
    "\r\x1b[K",
    "ds4: building: done in 3 s\n",
  ])
})

test("elsewhere a line is written every five seconds; a short build is silent", () => {
  const { clock, written, progress } = recorded(false)
  progress.push("[3/4] Building a\n")
  progress.tick()
  clock.ms = 5000
  progress.tick()
  clock.ms = 9000
  progress.tick()
  progress.end(false)
  expect(written).toEqual(["ds4: building: 75 %, 5 s\n"])
  const quick = recorded(false)
  quick.progress.end(true)
  expect(quick.written).toEqual([])
})

test("a slow check that finds nothing to build is silent", () => {
  const { clock, written, progress } = recorded(false)
  progress.push("[1/1] Re-checking globbed directories...\n[100%] Built target ds4\n")
  clock.ms = 3000
  progress.end(true)
  expect(written).toEqual([])
})

test("messages of compilers are kept for a failure", () => {
  const { progress } = recorded(false)
  progress.push("[1/2] Building a\na.cc:1: error: x\nstopped")
  progress.end(false)
  expect(progress.messages).toEqual(["a.cc:1: error: x", "stopped"])
})
