import { expect, test } from "bun:test"
import { layoutPrompt } from "./prompt-layout.ts"

const layout = (text: string, cursor = text.length, columns = 20, rows = 10) =>
  layoutPrompt({ text, cursor, prompt: "> ", columns, rows })

test("lines are indented by the prompt and the cursor follows", () => {
  expect(layout("ab\ncd")).toEqual({ rows: ["> ab", "  cd"], cursorRow: 1, cursorColumn: 4 })
})

test("long lines wrap before the edge, wide characters count twice", () => {
  expect(layout("a".repeat(17)).rows).toEqual([`> ${"a".repeat(17)}`])
  expect(layout("a".repeat(18)).rows).toEqual([`> ${"a".repeat(17)}`, "  a"])
  expect(layout("漢".repeat(9)).rows).toEqual([`> ${"漢".repeat(8)}`, "  漢"])
})

test("control characters are shown, never sent to the terminal", () => {
  expect(layout("a\x1b[2Jb\t").rows).toEqual(["> a^[[2Jb    "])
})

test("a text longer than the screen is shown around the cursor, quickly", () => {
  const text = Array.from({ length: 10_000 }, (_, index) => `line ${index}`).join("\n")
  const startMs = performance.now()
  const shown = layout(text, text.indexOf("line 5000"), 20, 8)
  expect(performance.now() - startMs).toBeLessThan(1000)
  expect(shown.rows).toHaveLength(8)
  expect(shown.rows[shown.cursorRow]).toBe("  line 5000")
})
