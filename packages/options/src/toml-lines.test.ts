import { expect, test } from "bun:test"
import { topLevelLines } from "./toml-lines.ts"

test("finds keys and sections, quoted or not, and passes over long texts", () => {
  const toml = [
    "# port = 1",
    "  port = 9000",
    '"max-tokens" = 5',
    "'quoted' = 1",
    'system = """',
    "port = 3",
    "hidden = 1",
    '"""',
    "dotted.key = 1",
    "[server]",
    "inner = 1",
    "[[many]]",
  ].join("\n")
  expect(Object.fromEntries(topLevelLines(toml))).toEqual({
    port: 2,
    "max-tokens": 3,
    quoted: 4,
    system: 5,
    dotted: 9,
    server: 10,
    many: 12,
  })
})
