import type { MemoryAccount } from "@ds4/engine"
import { formatBytes } from "@ds4/progress"

/** The memory of sessions and steps, for people. */
export const memoryText = (account: MemoryAccount): string =>
  `a session of ${account.sessionTokens} tokens takes ${formatBytes(account.sessionBytes)} ` +
  `(${formatBytes(account.kvBytesPerToken)} a token), a step of ${account.stepTokens} tokens ` +
  formatBytes(account.workspaceBytes)
