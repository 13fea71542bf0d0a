/**
 * "read" and "write" share the folder with each other; "alone" shares with nobody. A writer waits
 * behind one that wants to be alone, a reader never does: requests wait for readers.
 */
export type LockMode = "read" | "write" | "alone"

/** Exclusion between the processes of one folder, and between the operations of one. */
export interface FolderLock {
  /** Undefined when the lock was not free within that time. */
  acquire(mode: LockMode, waitMs: number): Promise<Disposable | undefined>
}
