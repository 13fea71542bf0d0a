/** The memory of an engine in bytes, as its backend counts it. */
export interface MemoryAccount {
  /** Read from the files, which may be larger than memory. */
  readonly mappedWeightBytes: number
  /** Copied into a layout of the engine's own. */
  readonly packedWeightBytes: number
  readonly kvBytesPerToken: number
  /** Length of the session that the engine leaves memory for, and its bytes when it is full. */
  readonly sessionTokens: number
  readonly sessionBytes: number
  /** The largest step, and the workspace that it takes with a short step beside it. */
  readonly stepTokens: number
  readonly workspaceBytes: number
}

const MEMBERS = {
  mappedWeightBytes: "mapped_weight_bytes",
  packedWeightBytes: "packed_weight_bytes",
  kvBytesPerToken: "kv_bytes_per_token",
  sessionTokens: "session_tokens",
  sessionBytes: "session_bytes",
  stepTokens: "step_tokens",
  workspaceBytes: "workspace_bytes",
} as const satisfies Record<keyof MemoryAccount, string>

/**
 * Reads the "memory" of a plan or of an engine's description.
 * @throws Error if a number is missing
 */
export function memoryAccount(json: unknown): MemoryAccount {
  const members = (json ?? {}) as Readonly<Record<string, unknown>>
  const read = (name: keyof MemoryAccount): number => {
    const value = members[MEMBERS[name]]
    if (typeof value !== "number")
      throw new Error(`the engine's memory account has no number ${MEMBERS[name]}`)
    return value
  }
  return {
    mappedWeightBytes: read("mappedWeightBytes"),
    packedWeightBytes: read("packedWeightBytes"),
    kvBytesPerToken: read("kvBytesPerToken"),
    sessionTokens: read("sessionTokens"),
    sessionBytes: read("sessionBytes"),
    stepTokens: read("stepTokens"),
    workspaceBytes: read("workspaceBytes"),
  }
}
