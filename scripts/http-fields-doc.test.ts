import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { httpFieldsDoc } from "./http-fields-doc.ts"

test("docs/http-fields.md is what the tables of fields say; bun run docs writes it", () => {
  const path = fileURLToPath(new URL("../docs/http-fields.md", import.meta.url))
  expect(readFileSync(path, "utf8")).toBe(httpFieldsDoc())
})
