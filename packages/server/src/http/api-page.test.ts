import { describe, expect, test } from "bun:test"
import { harness } from "../testing/harness.ts"

interface Description {
  openapi: string
  paths: Record<
    string,
    Record<
      string,
      {
        requestBody?: {
          content: Record<
            string,
            { schema: { properties: Record<string, unknown>; required?: string[] } }
          >
        }
      }
    >
  >
}

describe("the API page", () => {
  const server = harness()

  test("loads nothing from elsewhere, and everything it names is served here", async () => {
    const response = await server.get("/swagger")
    expect(response.headers.get("content-type")).toContain("text/html")
    const page = await response.text()
    const references = [...page.matchAll(/(?:src|href|url)\s*[=:]\s*"([^"]+)"/g)].map(
      (match) => match[1] ?? "",
    )
    expect(references.length).toBeGreaterThanOrEqual(4)
    expect(page).not.toMatch(/https?:/)
    for (const reference of references) {
      const asset = await server.get(reference)
      expect({ reference, status: asset.status }).toEqual({ reference, status: 200 })
      const text = await asset.text()
      expect(text.length).toBeGreaterThan(100)
      // A style sheet may pull in more files.
      if (reference.endsWith(".css")) expect(text).not.toMatch(/@import|url\(\s*["']?https?:/)
    }
  })

  test("other files of the package are not served", async () => {
    for (const name of ["package.json", "..%2fpackage.json", "index.html"])
      expect((await server.get(`/swagger/assets/${name}`)).status).toBe(404)
  })

  test("the description has every public route once, with the schemas that validate", async () => {
    const description = (await (await server.get("/swagger/json")).json()) as Description
    expect(description.openapi).toBe("3.0.3")
    const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    )
    expect(operations.sort()).toEqual([
      "delete /v1/kv/{id}",
      "delete /v1/requests/{id}",
      "delete /v1/responses/{id}",
      "get /health",
      "get /metrics",
      "get /v1/kv",
      "get /v1/models",
      "get /v1/models/{id}",
      "get /v1/requests",
      "get /v1/responses/{id}",
      "get /v1/responses/{id}/input_items",
      "get /v1/stats",
      "post /apply-template",
      "post /detokenize",
      "post /tokenize",
      "post /v1/chat/completions",
      "post /v1/completions",
      "post /v1/kv/gc",
      "post /v1/kv/load",
      "post /v1/kv/save",
      "post /v1/kv/verify",
      "post /v1/messages",
      "post /v1/messages/count_tokens",
      "post /v1/responses",
      "post /v1/responses/{id}/cancel",
    ])
    const chat =
      description.paths["/v1/chat/completions"]?.post?.requestBody?.content["application/json"]
        ?.schema
    expect(chat?.required).toEqual(["messages"])
    expect(Object.keys(chat?.properties ?? {})).toContain("temperature")
    expect(await (await server.get("/swagger/json")).json()).toEqual(description)
  })
})
