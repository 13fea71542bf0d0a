// Makes the weights of the tiny models where they are missing; tests need them, and nothing else.
import { fileURLToPath } from "node:url"
import { missingTinyModels } from "./make-tiny-models.ts"
import { fail, say } from "./prepare-modules.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))

/** Draws each missing model in a process of its own, all at once. */
export async function prepareTinyModels(): Promise<void> {
  const missing = missingTinyModels()
  if (missing.length === 0) return
  say(`drawing the weights of ${missing.join(" and ")}`)
  const statuses = missing.map(
    (folder) =>
      Bun.spawn([process.execPath, "scripts/make-tiny-models.ts", folder], {
        cwd: ROOT,
        stdio: ["ignore", 2, 2],
      }).exited,
  )
  if ((await Promise.all(statuses)).some((status) => status !== 0))
    fail("a tiny model could not be made; the message is above")
}
