// Ends the process: it refuses new requests, lets running ones finish, cancels the rest, closes.
import { CancelReason, type RequestRegistry } from "./request-registry.ts"
import type { ServingState } from "./serving-state.ts"

/** How long cancelled requests may take to write their last frame. */
const CANCEL_GRACE_MS = 2000

interface Closable {
  stop(closeActiveConnections?: boolean): Promise<unknown>
}

/** Drains, cancels what is left after `drainMs`, then closes the port and the engine. */
export async function shutDown(
  app: Closable,
  state: ServingState,
  registry: RequestRegistry,
  drainMs: number,
): Promise<void> {
  state.drain()
  if (!(await registry.idle(drainMs))) {
    registry.cancelAll(new CancelReason("shutdown", "the server is shutting down"))
    await registry.idle(CANCEL_GRACE_MS)
  }
  await app.stop(true)
  await state.model?.chat.close()
}
