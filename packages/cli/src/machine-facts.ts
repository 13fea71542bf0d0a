import { availableParallelism, cpus, release, totalmem } from "node:os"

/** Facts that a measurement depends on besides the program. */
export interface MachineFacts {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  /** Undefined: not known. It takes the library to see the limits of control groups. */
  readonly availableBytes: number | undefined
  readonly kernel: string
}

/** Facts that need no library: those of the operating system, which do not know control groups. */
export function systemFacts(): MachineFacts {
  return {
    cpu: cpus()[0]?.model ?? process.arch,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    availableBytes: undefined,
    kernel: release(),
  }
}

/** The members of the native library's description that are read here. */
interface LibraryFacts {
  readonly cpu: string
  readonly usable_cores: number
  readonly memory_bytes: number | null // null: the system does not say
  readonly available_memory_bytes: number | null
}

/**
 * Facts of this machine from the native library, which reads affinity, control groups and GPUs.
 * @throws EngineError when there is no library
 */
export async function machineFacts(): Promise<MachineFacts> {
  const { machine } = await import("@ds4/engine")
  const found = machine() as LibraryFacts
  const system = systemFacts()
  return {
    ...system,
    cpu: found.cpu,
    cores: found.usable_cores,
    memoryBytes: found.memory_bytes ?? system.memoryBytes,
    availableBytes: found.available_memory_bytes ?? undefined,
  }
}
