// The OpenAI and Anthropic interfaces inside an application of your own, under a prefix.
// Usage: bun examples/elysia.ts [PORT]
import { openApp } from "@ds4/server"
import { Elysia } from "elysia"

const { app: model, close } = await openApp() // options of `ds4 serve`, such as { ctx: 65_536 }
const app = new Elysia()
  .get("/", () => "An application with a model inside.")
  .mount("/model", (request) => model.handle(request))
  .listen({ hostname: "127.0.0.1", port: Number(process.argv[2] ?? 3000) })
console.log(`listening on ${app.server?.url.href}, the model's interfaces on /model/v1`)

process.once("SIGTERM", () => {
  void app.stop().then(close) // lets running requests finish, then frees the engine
})
