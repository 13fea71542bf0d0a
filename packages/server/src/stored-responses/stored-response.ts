/** One response as it is kept. It has its own items only; those before lie in `previous`. */
export interface StoredResponse {
  /** "resp_" and 32 hex digits. */
  readonly id: string
  /** The response that it continues. */
  readonly previous: string | undefined
  /** Who may read it: see `ownerOf`. */
  readonly owner: string
  /** Ids of its input and output items, by which later requests may name them. */
  readonly itemIds: readonly string[]
  /** UTF-8 JSON of its input and output items. */
  readonly items: Uint8Array
  /**
   * UTF-8 JSON of the response object without its output. Undefined: it was deleted or had to go,
   * and only its items are kept, for the responses that continue it.
   */
  readonly response: Uint8Array | undefined
}

const ID = /^resp_[0-9a-f]{32}$/

/** Whether a text could be the id of a stored response, and so be part of a file's name. */
export function isResponseId(text: string): boolean {
  return ID.test(text)
}

/** Bytes of the records about a response, beside its own. */
const RECORD_BYTES = 512

/** The bytes by which a response counts against the limit. */
export function sizeOf({ items, response, itemIds }: StoredResponse): number {
  const ids = itemIds.reduce((sum, id) => sum + id.length, 0)
  return RECORD_BYTES + ids + items.length + (response?.length ?? 0)
}
