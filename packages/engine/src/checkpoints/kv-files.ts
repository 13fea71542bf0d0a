import type { CheckpointListing, SaveResult, Verification } from "@ds4/kv-store"

/** The name under which a person saves a state. */
export interface SavedAs {
  readonly label: string
  /** A few words of the conversation, for lists. */
  readonly preview?: string
}

/** The result of a save by hand, and the tokens of the prompt that the state covers. */
export type StateSaved = SaveResult & { readonly tokens: number }

/** The states of an engine on disk. Whatever the folder does not allow is a KvStoreError. */
export interface KvFiles {
  /** Those of other models too, with what other processes did; the last made first. */
  list(): Promise<readonly CheckpointListing[]>
  remove(key: string): Promise<void>
  /** Reads every file; damaged ones are moved away. */
  verify(): Promise<Verification>
  /** Removes what nothing needs, then keeps the limits. */
  gc(): Promise<{ readonly files: number; readonly bytes: number }>
  /**
   * Saves the state of the longest beginning of the prompt that is in memory, until it is removed
   * by name. Read the prompt first: a request with maxTokens 0 leaves its last token out.
   */
  save(prompt: readonly number[], as: SavedAs): Promise<StateSaved>
  /** Brings a state into memory. Returns the tokens by which prompts show it. */
  load(key: string): Promise<{ readonly tokens: number }>
}
