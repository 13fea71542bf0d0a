import { expect, test } from "bun:test"
import { coalesce } from "./answer.ts"

test("coalescing joins neighbours of one kind and call, and loses nothing", () => {
  const joined = coalesce([
    { type: "content", text: "a" },
    { type: "content", text: "b" },
    { type: "reasoning", text: "c" },
    { type: "call-args", index: 0, text: "d" },
    { type: "call-args", index: 1, text: "e" },
    { type: "call-args", index: 1, text: "f" },
    { type: "content", text: "g" },
  ])
  expect(joined).toEqual([
    { type: "content", text: "ab" },
    { type: "reasoning", text: "c" },
    { type: "call-args", index: 0, text: "d" },
    { type: "call-args", index: 1, text: "ef" },
    { type: "content", text: "g" },
  ])
})
