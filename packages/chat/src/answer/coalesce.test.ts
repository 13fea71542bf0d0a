import { expect, test } from "bun:test"
import { coalesce } from "./coalesce.ts"

test("coalescing joins neighbours of one kind and call, and loses nothing", () => {
  const joined = coalesce([
    { type: "text", text: "a" },
    { type: "text", text: "b" },
    { type: "reasoning", text: "c" },
    { type: "tool-call-arguments", index: 0, text: "d" },
    { type: "tool-call-arguments", index: 1, text: "e" },
    { type: "tool-call-arguments", index: 1, text: "f" },
    { type: "text", text: "g" },
  ])
  expect(joined).toEqual([
    { type: "text", text: "ab" },
    { type: "reasoning", text: "c" },
    { type: "tool-call-arguments", index: 0, text: "d" },
    { type: "tool-call-arguments", index: 1, text: "ef" },
    { type: "text", text: "g" },
  ])
})
