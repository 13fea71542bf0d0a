// The API page at /swagger: swagger-ui-dist served from this machine, reading /swagger/json.
// Offline by design.
import { Elysia } from "elysia"
import { type DescriptionFacts, describeRoutes, type RouteList } from "../openapi/description.ts"
import { ApiError } from "./api-error.ts"

const ASSETS: ReadonlyMap<string, string> = new Map([
  ["swagger-ui-bundle.js", "text/javascript; charset=utf-8"],
  ["swagger-ui.css", "text/css; charset=utf-8"],
  ["favicon-32x32.png", "image/png"],
])

/** Whether a path is the page's; it opens without a key, which is given on it. */
export function isApiPage(path: string): boolean {
  return /^\/swagger(\/json|\/assets\/[^/]+)?\/?$/.test(path)
}

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
SwaggerUIBundle({
  url: "/swagger/json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  persistAuthorization: true,
  defaultModelsExpandDepth: 0,
})
</script>
</body>
</html>
`

/**
 * @param routes all routes of the finished application
 * @param facts what the description says of this server
 */
export const apiPage = (routes: () => RouteList, facts: () => DescriptionFacts) =>
  new Elysia({ name: "http/api-page" })
    .get(
      "/swagger",
      () => new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } }),
      { detail: { hide: true } },
    )
    .get("/swagger/json", () => describeRoutes(routes(), facts()), { detail: { hide: true } })
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
