import { KvStore } from "../store/kv-store.ts"
import type { KvStoreOptions } from "../store/open-store.ts"
import { KvStoreError } from "../kv-store-error.ts"
import { SyntheticState, TEST_MODEL, withOther } from "./synthetic-state.ts"

/** A store without limits that matter, unless the options set some. */
export const openTestStore = (
  folder: string,
  options: Partial<KvStoreOptions> = {},
): Promise<KvStore> =>
  KvStore.open({
    folder,
    compatibility: TEST_MODEL,
    budgetBytes: 2 ** 30,
    minimumFreeBytes: 0,
    ...options,
  })

export const saveIds = (
  store: KvStore,
  ids: Int32Array,
  label?: string,
): ReturnType<KvStore["save"]> =>
  store.save(new SyntheticState(ids), {
    shown: ids,
    reason: "turn",
    ...(label !== undefined && { label }),
  })

/** The code of the store's error with which a promise rejects, else another error's text. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    return error instanceof KvStoreError ? error.code : String(error)
  }
  return "none"
}

/** The same ids and three more. */
export const longer = (ids: Int32Array): Int32Array => withOther(ids, ids.length, 3, 99)

/** A lock for a folder that nobody else uses. */
export const NO_LOCK = {
  acquire: async () => ({ [Symbol.dispose]: () => undefined }),
}
