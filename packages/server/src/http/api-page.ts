// The API page at /swagger: swagger-ui-dist served from this machine, reading /swagger/json.
// Offline by design.
import { Elysia } from "elysia"
import { filterPaths, registerSchemaPath } from "@elysiajs/swagger/utils"
import { ApiError } from "./api-error.ts"

const ASSETS = new Map(
  Object.entries({
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
  }),
)

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>ds4 HTTP API</title>
<link rel="icon" type="image/png" href="/swagger/assets/favicon-32x32.png">
<link rel="stylesheet" href="/swagger/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/swagger/assets/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({ url: "/swagger/json", dom_id: "#swagger-ui", validatorUrl: null })
</script>
</body>
</html>
`

/** One registered route, as far as the description needs it. */
type RouteList = Elysia["routes"]

const INFO = {
  title: "ds4 HTTP API",
  version: "0.1.0",
  description:
    "OpenAI chat completions, completions and Responses, Anthropic messages, and the server's " +
    "own endpoints.",
}

/** OpenAPI 3.0.3 of the given routes, from the schemas that validate them. */
function describeRoutes(routes: RouteList): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const hooks = route.hooks as { detail?: { hide?: boolean } } | undefined
    if (hooks?.detail?.hide === true) continue
    registerSchemaPath({
      schema: paths,
      hook: route.hooks,
      method: route.method as "GET",
      path: route.path,
      models: {},
      contentType: ["application/json"],
    })
  }
  return {
    openapi: "3.0.3",
    info: INFO,
    paths: filterPaths(paths, { excludeStaticFile: false, exclude: [] }),
  }
}

export const apiPage = (routes: () => RouteList) =>
  new Elysia({ name: "http/api-page" })
    .get(
      "/swagger",
      () => new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } }),
      { detail: { hide: true } },
    )
    .get("/swagger/json", () => describeRoutes(routes()), { detail: { hide: true } })
    .get(
      "/swagger/assets/:file",
      ({ params }) => {
        const type = ASSETS.get(params.file)
        if (type === undefined) throw new ApiError("NOT_FOUND", `no asset "${params.file}"`)
        const file = Bun.file(Bun.resolveSync(`swagger-ui-dist/${params.file}`, import.meta.dir))
        return new Response(file, {
          headers: { "content-type": type, "cache-control": "max-age=86400" },
        })
      },
      { detail: { hide: true } },
    )
