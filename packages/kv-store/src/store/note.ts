import type { UseRecord } from "../index/use-log.ts"
import { systemCode } from "../kv-store-error.ts"
import type { StoreContext } from "./store-context.ts"

/** Adds to the log. A record that cannot be written costs a use count and nothing else. */
export async function note(
  store: StoreContext,
  kind: "add" | "use" | "remove",
  key: string,
): Promise<void> {
  const record: UseRecord = { kind, key, time: store.now() }
  try {
    await store.uses.append(record)
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    store.log(`kv store: the log cannot be written: ${error instanceof Error ? error.message : ""}`)
  }
}
